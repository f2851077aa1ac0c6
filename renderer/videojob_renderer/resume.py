"""Where a render begins: with fresh noise, or where an earlier pod of the same VideoJob ended.

A checkpoint is used only if all that decides the bits of the video is the same, so that the video is the very one that
an undisturbed render would have given. Otherwise the render begins anew, and says why.
"""

import logging
import secrets
from dataclasses import dataclass

import torch

from videojob.resolve import ResolvedRequest
from videojob_renderer.checkpoint import Checkpoint, UnusableCheckpoint, decode, hold_same_render
from videojob_renderer.fingerprint import Fingerprint

_log = logging.getLogger(__name__)

_LARGEST_DRAWN_SEED = 2**32  # short enough to type, and exact in JavaScript


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What an earlier pod left.

    Attributes:
        checkpoint: None where there is none, or no usable one.
        unusable: why the one that was there cannot be read.
    """

    checkpoint: Checkpoint | None = None
    unusable: str | None = None

    @classmethod
    def read(cls, content: bytes | None) -> "Found":
        """Read the file of a checkpoint; None = there was none."""
        if content is None:
            return cls()
        try:
            return cls(decode(content))
        except UnusableCheckpoint as error:
            return cls(unusable=str(error))

    @property
    def fingerprint(self) -> Fingerprint:
        """Of the render that left it; empty where nothing can be read."""
        return self.checkpoint.fingerprint if self.checkpoint else {}


@dataclass(frozen=True, slots=True, eq=False)
class Beginning:
    """Where a render begins.

    Attributes:
        seed: of the request, of the checkpoint, or drawn.
        generator: as the seed makes it: what the image's latents and the noise are drawn from.
        checkpoint: to go on from; None = from fresh noise.
        ignored: why a checkpoint that was there is not used.
    """

    seed: int
    generator: torch.Generator
    checkpoint: Checkpoint | None = None
    ignored: str | None = None

    @property
    def step(self) -> int:
        """Steps that are done already."""
        return self.checkpoint.state.step if self.checkpoint else 0


def begin(
    request: ResolvedRequest,
    found: Found,
    fingerprint: Fingerprint,
    *,
    shape: tuple[int, ...],
    dtype: torch.dtype,
) -> Beginning:
    """Decide where to begin.

    Args:
        request: seed and steps are used.
        found: what an earlier pod left.
        fingerprint: of this render.
        shape: of its latents.
        dtype: of its latents.
    """
    checkpoint, unusable = found.checkpoint, found.unusable
    if checkpoint:
        try:
            hold_same_render(checkpoint, fingerprint, shape=shape, dtype=dtype, steps=request.steps)
        except UnusableCheckpoint as error:
            checkpoint, unusable = None, str(error)
    ignored = f"the checkpoint cannot be used: {unusable}" if unusable else None
    if ignored:
        _log.warning("beginning anew: %s", ignored)
    seed = _seed(request, checkpoint)
    # A generator of the CPU draws the same numbers whatever the GPU.
    return Beginning(seed, torch.Generator("cpu").manual_seed(seed), checkpoint, ignored)


def _seed(request: ResolvedRequest, checkpoint: Checkpoint | None) -> int:
    if request.seed is not None:
        return request.seed
    return checkpoint.seed if checkpoint else secrets.randbelow(_LARGEST_DRAWN_SEED)
