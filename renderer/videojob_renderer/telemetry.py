"""What the GPU does, told by NVML; without a GPU, nothing. NVML needs no CUDA context and no torch."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pynvml  # type: ignore[import-untyped]

from videojob_renderer.driver import Driver


class GpuUnreadable(Exception):
    """NVML failed, and not because there is no GPU; the text is its own."""


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One look at the GPUs of this process.

    Attributes:
        name: of the first, as the driver calls it, such as `NVIDIA H100 80GB HBM3`.
        utilization: percent of the last moments in which a kernel ran; the mean of all GPUs.
        memory_bytes: in use on all of them, by whomever.
        memory_total_bytes: of all of them.
    """

    name: str
    utilization: int | None
    memory_bytes: int
    memory_total_bytes: int


def sample() -> GpuSample | None:
    """Look at the GPUs that CUDA shows this process; None where there are none."""
    try:
        pynvml.nvmlInit()
        devices = _devices()
        if not devices:
            return None
        memory = [pynvml.nvmlDeviceGetMemoryInfo(device) for device in devices]
        return GpuSample(
            name=str(pynvml.nvmlDeviceGetName(devices[0])),
            utilization=_utilization(devices),
            memory_bytes=sum(int(part.used) for part in memory),
            memory_total_bytes=sum(int(part.total) for part in memory),
        )
    except pynvml.NVMLError:
        return None


def with_gpu(status: dict[str, Any]) -> dict[str, Any]:
    """Return a part of the status with what the GPUs do at this moment, if it speaks of the renderer."""
    if "renderer" not in status or not (gpu := sample()):
        return status
    seen = {
        "gpu": gpu.name,
        "gpuUtilization": gpu.utilization,
        "gpuMemoryBytes": gpu.memory_bytes,
        "gpuMemoryTotalBytes": gpu.memory_total_bytes,
    }
    return status | {"renderer": status["renderer"] | seen}


def gpu_is_present(*, is_given: bool) -> bool:
    """Tell whether there is a GPU that this process should be able to use.

    Args:
        is_given: the pod was given one; else a driver's library without its driver is no news.

    Raises:
        GpuUnreadable: NVML failed for another reason than that there is none, such as a GPU that was lost.
    """
    absent = {pynvml.NVML_ERROR_LIBRARY_NOT_FOUND}
    if not is_given:
        absent.add(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
    try:
        pynvml.nvmlInit()
        return bool(_devices())
    except pynvml.NVMLError as error:
        if error.value in absent:
            return False
        raise GpuUnreadable(str(error).rstrip(".")) from error


def driver() -> Driver | None:
    """Ask the driver for its versions; None where it tells none."""
    try:
        pynvml.nvmlInit()
        cuda = int(pynvml.nvmlSystemGetCudaDriverVersion_v2())
        return Driver(str(pynvml.nvmlSystemGetDriverVersion()), (cuda // 1000, cuda % 1000 // 10))
    except pynvml.NVMLError:
        return None


def gpus_are_hidden(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether this process is to do without a GPU, in CUDA's own words: who says so means the CPU."""
    return environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}


def gpu_that_was_given(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return what the device plugin gave this container, by the variable it sets; None where it gave nothing.

    Where the container runtime does not know NVIDIA, the variable is there and the GPU is not.
    """
    given = environ.get("NVIDIA_VISIBLE_DEVICES", "")
    return given if given not in {"", "none", "void", "all"} else None


def _devices() -> list[object]:
    """The GPUs in CUDA's own order; CUDA_VISIBLE_DEVICES names them by number or by UUID."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    names = [name.strip() for name in visible.split(",") if name.strip() not in {"", "-1"}]
    return [
        pynvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdigit() else pynvml.nvmlDeviceGetHandleByUUID(name)
        for name in names
    ]


def _utilization(devices: list[object]) -> int | None:
    try:
        shares = [int(pynvml.nvmlDeviceGetUtilizationRates(device).gpu) for device in devices]
    except pynvml.NVMLError:  # a MIG slice tells none
        return None
    return round(sum(shares) / len(shares))
