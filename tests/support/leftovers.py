"""What a stopped stack must not leave behind."""

import os
from pathlib import Path

import psutil


def processes_of(folder: Path) -> list[str]:
    """Return the processes, other than this one, that name a folder in command line or environment, or work in it."""
    return [
        _tell(process) for process in psutil.process_iter() if process.pid != os.getpid() and _names(process, folder)
    ]


def _names(process: psutil.Process, folder: Path) -> bool:
    try:
        words = [*process.cmdline(), *process.environ().values(), process.cwd()]
    except psutil.Error:  # ended meanwhile, or somebody else's
        return False
    return any(str(folder) in word for word in words)


def _tell(process: psutil.Process) -> str:
    try:
        return f"{process.pid}: {' '.join(process.cmdline())}"
    except psutil.Error:
        return str(process.pid)
