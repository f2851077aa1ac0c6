"""Any exception becomes one of our errors, with the right exit code and a sentence without foreign text."""

import errno
from types import SimpleNamespace

import pytest
import torch

from videojob.exits import ExitCode
from videojob.phases import Stage
from videojob.reasons import Reason
from videojob_renderer.errors import StorageUnavailable
from videojob_renderer.faults import classify

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    ("error", "reason", "code", "sentence"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB."), "OutOfMemory", 1, "2.50 GiB"),
        (
            RuntimeError("DefaultCPUAllocator: can't: you tried to allocate 4294967296 bytes."),
            "OutOfMemory",
            1,
            "4.00 GiB",
        ),
        (MemoryError(), "OutOfMemory", 1, "stage Decoding"),
        (RuntimeError("CUDA error: an illegal memory access\nmore"), "GpuFault", 70, "an illegal memory access"),
        (RuntimeError("CUBLAS_STATUS_EXECUTION_FAILED"), "GpuFault", 70, "stage Decoding"),
        (RuntimeError("cuDNN Frontend error: no plan"), "GpuFault", 70, "no plan"),
        (RuntimeError("Triton Error [CUDA]: device-side assert"), "GpuFault", 70, "device-side assert"),
        (RuntimeError("CUDA unknown error - this may be due to"), "GpuFault", 70, "CUDA unknown error"),
        (
            RuntimeError("CUDA error: out of memory\nmore"),
            "OutOfMemory",
            1,
            "the GPU ran out of memory in stage Decoding;",
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), "OutOfMemory", 1, "Fewer frames"),
        (RuntimeError("Triton Error [CUDA]: out of memory"), "OutOfMemory", 1, "the GPU ran out of memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "DiskFull", 1, "no space"),
        (StorageUnavailable("S3 refused"), "StorageUnavailable", 1, "S3 refused"),
        (ValueError("my secret prompt"), "RendererFailed", 1, "with ValueError"),
    ],
)
def test_a_fault_is_told_as_what_it_is(error: Exception, reason: str, code: int, sentence: str) -> None:
    fault = classify(error, Stage.DECODING)
    assert (fault.reason, fault.exit_code) == (Reason(reason), ExitCode(code))
    assert sentence in fault.message
    assert "secret" not in fault.message
    assert "\n" not in fault.message


def test_a_gpu_without_memory_is_told_with_stage_and_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures are those of a GPU that is not here."""
    gpu = SimpleNamespace(total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _device: gpu)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 71 * 2**30)
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 18.46 GiB. GPU 0 has a total capacity")
    assert classify(error, Stage.DENOISING).message == (
        "the GPU ran out of memory in stage Denoising when it asked for 18.46 GiB; 71.0 of its 80.0 GiB were in use by "
        "this render. Fewer frames or a smaller size need less"
    )
