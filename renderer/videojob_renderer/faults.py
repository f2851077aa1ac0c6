"""Says of any exception which of our errors it is, without importing torch: it may be torch's import that failed."""

import errno
import re
import sys

from videojob.phases import Stage
from videojob_renderer.errors import DiskFull, DiskUnwritable, GpuFault, OutOfMemory, RendererError, Unexpected

_GIB = 2**30
_CUDA_WORDS = (
    "CUDA error",
    "CUDA unknown error",
    "CUDA driver",
    "CUBLAS_STATUS",
    "cuDNN error",
    "cuDNN Frontend error",
    "CUDNN_STATUS",
    "NCCL error",
    "Triton Error [CUDA]",
)
_GPU_MEMORY_WORDS = ("CUDA error: out of memory", "Triton Error [CUDA]: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""A lack of memory that did not meet torch's own allocator, but that of CUDA or of a library on it."""
_CPU_ALLOCATOR = re.compile(r"DefaultCPUAllocator: .*?you tried to allocate (\d+) bytes", re.DOTALL)
_UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}
_NEEDS_LESS = "Fewer frames or a smaller size need less"
_TRIED_TO_ALLOCATE = re.compile(r"Tried to allocate ([\d.]+ [KMGT]?i?B)")


def classify(error: BaseException, stage: Stage) -> RendererError:
    """Return the error of our own tree that an exception stands for.

    Args:
        error: whatever ended the render.
        stage: what the renderer was doing.
    """
    if isinstance(error, RendererError):
        return error
    known = _of_disk(error, stage) if isinstance(error, OSError) else _of_memory(error, stage)
    if known:
        return known
    text = str(error)
    if isinstance(error, RuntimeError) and any(word in text for word in _CUDA_WORDS):
        return GpuFault(f"the GPU failed in stage {stage}: {text.splitlines()[0]}")
    # The text of an unknown error may quote the prompt; its class and the logs must do.
    return Unexpected(f"the renderer failed in stage {stage} with {type(error).__name__}; its log tells more")


def _of_disk(error: OSError, stage: Stage) -> RendererError | None:
    if is_disk_full(error):
        return DiskFull(f"there is no space left on this node in stage {stage}")
    if error.errno in _UNWRITABLE and error.filename:
        return DiskUnwritable(f"{error.filename} cannot be written in stage {stage}: {error.strerror}")
    return None


def _of_memory(error: BaseException, stage: Stage) -> RendererError | None:
    text = str(error)
    if is_out_of_gpu_memory(error):
        asked = _TRIED_TO_ALLOCATE.search(text)
        wanted = f" when it asked for {asked[1]}" if asked else ""
        return OutOfMemory(f"the GPU ran out of memory in stage {stage}{wanted}; {_gpu_memory()}. {_NEEDS_LESS}")
    asked = _CPU_ALLOCATOR.search(text)
    if isinstance(error, MemoryError) or asked:
        wanted = f" when it asked for {int(asked[1]) / _GIB:.2f} GiB" if asked else ""
        return OutOfMemory(f"the pod ran out of memory in stage {stage}{wanted}. {_NEEDS_LESS}")
    return None


def is_disk_full(error: OSError) -> bool:
    """Tell whether a disk, or somebody's share of it, is full."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def is_out_of_gpu_memory(error: BaseException) -> bool:
    """Tell whether an allocation on the GPU failed, whoever asked for it."""
    torch = sys.modules.get("torch")
    kind = getattr(torch, "OutOfMemoryError", None)
    if kind is not None and isinstance(error, kind):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _GPU_MEMORY_WORDS)


def _gpu_memory() -> str:
    cuda = sys.modules["torch"].cuda
    if not cuda.is_available():
        return "there is none"
    total = cuda.get_device_properties(0).total_memory
    return f"{cuda.memory_allocated() / _GIB:.1f} of its {total / _GIB:.1f} GiB were in use by this render"
