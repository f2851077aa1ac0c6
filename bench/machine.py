"""What a benchmark ran on, as every result says it."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from videojob_local.binaries import KUBERNETES_VERSION

ROOT = Path(__file__).resolve().parents[1]
CLUSTER = {"kubernetes": KUBERNETES_VERSION.removeprefix("v")}
"""Of a benchmark on the local control plane."""


def machine(*packages: str, **more: object) -> dict[str, object]:
    """Tell the machine, the versions of these packages, what else is to be said, and the commit."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return {
        "cpu": _cpu(Path("/proc/cpuinfo")),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        **more,
        "commit": commit.stdout.strip(),
    }


def _cpu(told: Path) -> str:
    lines = told.read_text().splitlines() if told.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
