"""How busy this machine and the renderers are, in percent."""

from collections.abc import Sequence

import psutil
import pynvml  # type: ignore[import-untyped]


def start_measuring() -> None:
    """Begin the interval over which the first `cpu_percent` is the mean."""
    psutil.cpu_percent(interval=None)


def cpu_percent() -> float:
    """Return the use of all cores since the last call."""
    return min(psutil.cpu_percent(interval=None), 100.0)


def memory_percent() -> float:
    """Return the use of the memory."""
    return float(psutil.virtual_memory().percent)


def mean(percents: Sequence[int]) -> float | None:
    """Return the mean of what renderers report, or None where none does."""
    return sum(percents) / len(percents) if percents else None


def mean_of_local_gpus() -> float:
    """Return the mean use of this machine's NVIDIA GPUs, 0 where there is none."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return 0.0
    try:
        gpus = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        values = [float(pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu) for gpu in gpus]
    except pynvml.NVMLError:
        return 0.0
    finally:
        pynvml.nvmlShutdown()
    return sum(values) / len(values) if values else 0.0
