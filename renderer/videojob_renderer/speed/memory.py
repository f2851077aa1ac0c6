"""Which rung of the memory ladder a render takes: pure arithmetic, and the next rung for when the GPU ran out anyway.

Everything resident is the fastest, and what an 80 GB GPU has room for. The text encoder is gone before the first step
and the transformer before the first frame, so each stage has the GPU nearly to itself. Decoding in tiles needs less at
its peak and changes pixels near the seams; offloading keeps the transformer's blocks in host memory and is several
times slower.
"""

from dataclasses import dataclass

from videojob.phases import Stage
from videojob.speed_choices import Memory

_GIB = 2**30
_RESERVE_BYTES = 2 * _GIB
"""For CUDA's own context, its libraries and fragments."""

_DECODE_BYTES_PER_PIXEL = 19 * _GIB // (480 * 720)
"""Peak of the VAE's decoder on a whole chunk; diffusers' documentation says 19 GB at 480x720."""

_STEP_BYTES_PER_TOKEN_AND_WIDTH = 24
"""Peak of a block's activations: about twelve tensors of two bytes for each token and each unit of width."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a render needs of a GPU, in bytes.

    Attributes:
        transformer: its weights.
        step: activations of the transformer, at their peak.
        vae: its weights.
        decode: activations of the decoder on a whole chunk, at their peak.
    """

    transformer: int
    step: int
    vae: int
    decode: int


def step_bytes(*, tokens: int, width: int, halves: int) -> int:
    """Estimate the activations of a step: tokens of text and image, the transformer's width, 2 halves with guidance."""
    return tokens * width * halves * _STEP_BYTES_PER_TOKEN_AND_WIDTH


def decode_bytes(*, height: int, width: int) -> int:
    """Estimate the activations of the decoder by the pixels of a frame."""
    return height * width * _DECODE_BYTES_PER_PIXEL


def first_rung(wish: Memory, needs: Needs, total_bytes: int | None) -> Memory:
    """Return the rung to begin with.

    Args:
        wish: of the profile.
        needs: of the render.
        total_bytes: of the GPU; None on a CPU, where nothing is to be gained.
    """
    if wish is not Memory.AUTO:
        return wish
    if total_bytes is None:
        return Memory.RESIDENT
    room = total_bytes - _RESERVE_BYTES
    if needs.transformer + needs.vae + needs.step > room:
        return Memory.OFFLOAD
    return Memory.TILED_DECODE if needs.vae + needs.decode > room else Memory.RESIDENT


def rung_after_running_out(rung: Memory, stage: Stage) -> Memory | None:
    """Return the rung that may help when the GPU ran out of memory in a stage; None where none does."""
    if stage is Stage.DECODING:
        return Memory.TILED_DECODE if rung is Memory.RESIDENT else None
    return None if rung is Memory.OFFLOAD else Memory.OFFLOAD
