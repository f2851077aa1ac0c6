"""Any exception becomes one of our errors, with the right exit code and a sentence without foreign text."""

import errno

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
