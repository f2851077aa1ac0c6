"""The cgroup below which the kubelet puts its pods, in every hierarchy of version 1, or in the one of version 2."""

import contextlib
import time
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_REMOVE_SECONDS = 10


def is_version_2() -> bool:
    """Tell whether the machine has the unified hierarchy alone."""
    return (_ROOT / "cgroup.controllers").exists()


def make(name: str) -> None:
    """Make the cgroup everywhere; on version 1 a child starts without CPUs, so it gets those of its parent."""
    for hierarchy in _hierarchies():
        folder = hierarchy / name
        folder.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (hierarchy / file).exists() and not is_version_2():
                (folder / file).write_text((hierarchy / file).read_text())


def remove(name: str) -> None:
    """Remove the cgroup with all below it; the kernel lets go of them shortly after the last process has ended."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    for hierarchy in [_ROOT, *_ROOT.iterdir()]:  # runc makes it also where version 2 stands beside version 1
        while (hierarchy / name).exists() and time.monotonic() < deadline:
            for folder in sorted((hierarchy / name).glob("**/"), key=lambda path: -len(path.parts)):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            time.sleep(0.1)


def _hierarchies() -> list[Path]:
    if is_version_2():
        return [_ROOT]
    return [folder for folder in _ROOT.iterdir() if folder.is_dir() and (folder / "tasks").exists()]
