"""How many CPU cores are ours: torch would take all of the machine, and be slowed down by its own idle threads."""

import math
import os
from pathlib import Path

_CGROUP_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
"""The limit of a container (cgroup v2): `200000 100000` is two cores, `max 100000` no limit."""


def available_cores(cpu_max: Path = _CGROUP_CPU_MAX) -> int:
    """Count the cores that this process may use: by its affinity, and by the CPU limit of its container."""
    limit = _limit(cpu_max)
    cores = _schedulable()
    return cores if limit is None else max(1, min(cores, math.ceil(limit)))


def _schedulable() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _limit(cpu_max: Path) -> float | None:
    try:
        quota, period = map(int, cpu_max.read_text().split())
    except (OSError, ValueError):  # no cgroup v2, or `max`
        return None
    return quota / period
