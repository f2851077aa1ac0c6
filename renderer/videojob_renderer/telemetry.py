"""What the GPU does, told by NVML; without a GPU, nothing. NVML needs no CUDA context and no torch."""

import os
from dataclasses import dataclass

import pynvml  # type: ignore[import-untyped]


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One look at the GPU.

    Attributes:
        name: as the driver calls it, such as `NVIDIA H100 80GB HBM3`.
        utilization: percent of the last moments in which a kernel ran.
    """

    name: str
    utilization: int | None


def sample() -> GpuSample | None:
    """Look at the first GPU of this container; None where there is none."""
    try:
        pynvml.nvmlInit()
        device = pynvml.nvmlDeviceGetHandleByIndex(0)
        return GpuSample(str(pynvml.nvmlDeviceGetName(device)), _utilization(device))
    except pynvml.NVMLError:
        return None


def gpu_is_present() -> bool:
    """Tell whether this process should be able to use a GPU."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}
    return not hidden and sample() is not None


def _utilization(device: object) -> int | None:
    try:
        return int(pynvml.nvmlDeviceGetUtilizationRates(device).gpu)
    except pynvml.NVMLError:  # a MIG slice tells none
        return None
