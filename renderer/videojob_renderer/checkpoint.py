"""A denoising state as bytes: what a pod leaves behind, so that its successor ends with the same bits.

One safetensors file. Its metadata holds step, seed, the fingerprint of the render and a digest of all: a file that is
truncated, damaged or of something else is told from a good one before anything of it is used.
"""

import hashlib
import json
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from videojob_renderer.denoise import DenoiseState
from videojob_renderer.fingerprint import Fingerprint, differences

FORMAT = "videojob-checkpoint-1"

_LATENTS, _PREVIOUS_X0, _GENERATOR = "latents", "previous_x0", "generator_state"


class UnusableCheckpoint(Exception):
    """A checkpoint from which this render cannot go on; the text says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A state, with what it takes to go on from there.

    Attributes:
        state: its tensors are on the CPU.
        generator_state: of the generator that drew the noise.
        seed: also where the request left it open.
        fingerprint: of the render.
    """

    state: DenoiseState
    generator_state: torch.Tensor
    seed: int
    fingerprint: Fingerprint

    @classmethod
    def take(cls, state: DenoiseState, generator: torch.Generator, seed: int, fingerprint: Fingerprint) -> "Checkpoint":
        """Copy a state off the GPU; this waits for it, a matter of milliseconds."""
        x0 = state.previous_x0
        on_cpu = DenoiseState(state.step, _copied(state.latents), None if x0 is None else _copied(x0))
        return cls(on_cpu, generator.get_state(), seed, fingerprint)

    def state_on(self, device: torch.device) -> DenoiseState:
        """Return the state on the device of the render."""
        x0 = self.state.previous_x0
        return DenoiseState(self.state.step, self.state.latents.to(device), None if x0 is None else x0.to(device))

    def encode(self) -> bytes:
        """Return the file."""
        tensors = {_LATENTS: self.state.latents, _GENERATOR: self.generator_state}
        if self.state.previous_x0 is not None:
            tensors[_PREVIOUS_X0] = self.state.previous_x0
        metadata = {
            "format": FORMAT,
            "step": str(self.state.step),
            "seed": str(self.seed),
            "fingerprint": json.dumps(dict(self.fingerprint)),
        }
        return save(tensors, metadata | {"sha256": _digest(tensors, metadata)})


def decode(content: bytes) -> Checkpoint:
    """Read a file.

    Raises:
        UnusableCheckpoint: it is none, is damaged, or was written by another version.
    """
    try:
        tensors = load(content)
        metadata = _metadata(content)
        digest = metadata.pop("sha256", "")
        if metadata.get("format") != FORMAT:
            raise UnusableCheckpoint(f"it is not of the format {FORMAT}")
        if digest != _digest(tensors, metadata):
            raise UnusableCheckpoint("it is damaged: its digest is wrong")
        state = DenoiseState(int(metadata["step"]), tensors[_LATENTS], tensors.get(_PREVIOUS_X0))
        return Checkpoint(state, tensors[_GENERATOR], int(metadata["seed"]), json.loads(metadata["fingerprint"]))
    except (SafetensorError, KeyError, ValueError, AttributeError, TypeError) as error:
        raise UnusableCheckpoint(f"it is damaged ({type(error).__name__})") from error


def hold_same_render(
    checkpoint: Checkpoint, fingerprint: Fingerprint, *, shape: tuple[int, ...], dtype: torch.dtype, steps: int
) -> None:
    """Make sure that a checkpoint is one of this very render.

    Raises:
        UnusableCheckpoint: it is not.
    """
    if differing := differences(fingerprint, checkpoint.fingerprint):
        raise UnusableCheckpoint(f"it was made with another {', '.join(differing)}")
    state = checkpoint.state
    if tuple(state.latents.shape) != shape or state.latents.dtype is not dtype or not 0 < state.step <= steps:
        raise UnusableCheckpoint("its latents are not those of this request")


def _copied(tensor: torch.Tensor) -> torch.Tensor:
    """Copy to the CPU in any case: the writing goes on while the next step is made."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def _digest(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _metadata(content: bytes) -> dict[str, str]:
    """Read the metadata of a safetensors file: its library gives them for files on disk only."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    metadata: dict[str, str] = header.get("__metadata__", {})
    return metadata
