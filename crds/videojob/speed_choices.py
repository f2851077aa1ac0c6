"""The words of the speed options: plain enums, so that code which has no pydantic at hand can use them too.

Three kinds of choice, told apart everywhere: *exact* gives the bits of the stock pipeline, *rounding* does the same
arithmetic in another order, *lossy* leaves arithmetic out.
"""

from enum import StrEnum


class Attention(StrEnum):
    """The kernel of the transformer's attention, which is half of all arithmetic."""

    AUTO = "auto"  # cudnn on Hopper and newer, flash on other GPUs, the stock choice on a CPU
    CUDNN = "cudnn"  # exact on Hopper, where the stock pipeline gets it too; else rounding: NVIDIA's own
    FLASH = "flash"  # rounding on Hopper, else exact: FlashAttention 2
    FLASH3 = "flash3"  # rounding: FlashAttention 3, where the package flash_attn_interface is installed
    EFFICIENT = "efficient"  # rounding: the memory-efficient kernel, for GPUs that have no other
    MATH = "math"  # rounding: plain matrix products; slow, for comparisons


class Compile(StrEnum):
    """Whether the transformer's blocks are compiled by torch."""

    AUTO = "auto"  # regional where there is a GPU, a C compiler and a compileCache folder, else off
    OFF = "off"  # exact
    REGIONAL = (
        "regional"  # rounding: one compiled block serves all; seconds from a warm cache, a minute from a cold one
    )


class StepCache(StrEnum):
    """What may be taken over from an earlier step instead of being computed; all but `none` are lossy."""

    NONE = "none"
    FIRST_BLOCK = "firstBlock"  # skip all blocks but the first while that one hardly changes (cacheThreshold)
    PYRAMID_ATTENTION = "pyramidAttention"  # take attention over for a few steps (cacheInterval)
    TAYLOR_SEER = "taylorSeer"  # extrapolate the outputs of the blocks from earlier steps (cacheInterval)


class Memory(StrEnum):
    """Where the ladder of memory begins; when the GPU runs out of memory, the renderer takes the next rung."""

    AUTO = "auto"  # the first rung that fits into the GPU
    RESIDENT = "resident"  # exact: all weights stay on the GPU, frames are decoded whole
    TILED_DECODE = "tiledDecode"  # lossy: frames are decoded in tiles; 40 % more arithmetic, seams can show
    OFFLOAD = "offload"  # tiledDecode, and the transformer's blocks wait in host memory; several times slower
