"""Processes: start a group of them, end it for good, know one again.

A container's process leads a session of its own. What it leaves in its group is killed with it; what left the group
(setsid) is found through a mark in its environment where there is a /proc, and is missed where there is none (macOS).
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from videojob_local.node.command import Command

MARK = "VIDEOJOB_NODE_POD"
_PROC = Path("/proc")
_STEP_SECONDS = 0.5


@dataclass(slots=True)
class ChildProcess:
    """The process of one container, leader of its own session and group."""

    process: asyncio.subprocess.Process
    mark: str

    @classmethod
    async def start(cls, command: Command, log_file: Path) -> Self:
        """Start a command; its output is appended to a file.

        Raises:
            OSError: no such program, or it may not be run.
            ValueError: a NUL in an argument or a variable.
        """
        with log_file.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command.argv,
                env={**command.environment},
                cwd=command.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return cls(process, command.environment[MARK])

    @property
    def pid(self) -> int:
        """Process id, and id of its group."""
        return self.process.pid

    async def end(self, grace_seconds: Callable[[], float], before_seconds: float = 0) -> None:
        """Wait (preStop sleep), send SIGTERM to the process, and SIGKILL to its group after the grace period.

        Only the leader gets SIGTERM, as in a container: an encoder that it has started must be let finish.
        """
        ended = asyncio.create_task(self.process.wait())
        clock = asyncio.get_running_loop().time
        began = clock()
        while not ended.done() and clock() - began < min(before_seconds, grace_seconds()):
            await asyncio.wait({ended}, timeout=min(_STEP_SECONDS, before_seconds))
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        while not ended.done() and (left := grace_seconds() - (clock() - began)) > 0:
            await asyncio.wait({ended}, timeout=min(_STEP_SECONDS, left))
        kill_group(self.pid)
        await ended

    async def exit_code(self) -> int:
        """Wait for the end, remove what the process left behind, return its exit code as a shell counts it."""
        code = await self.process.wait()
        kill_group(self.pid)
        for _ in range(20):  # a process that is just forking may be missed once
            if not kill_marked(f"{self.mark}\0"):
                break
            await asyncio.sleep(0.01)
        return 128 - code if code < 0 else code


def kill_group(group: int) -> None:
    """SIGKILL a process group, if it still is there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def kill_marked(mark: str) -> int:
    """SIGKILL every process whose environment has a mark that begins so; returns how many there were."""
    wanted = f"\0{MARK}={mark}".encode()
    killed = 0
    for entry in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone meanwhile, or somebody else's
            if wanted in b"\0" + (entry / "environ").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)
                killed += 1
    return killed


def birth(pid: int) -> str | None:
    """Return when a process was started, in the kernel's own words, or None if there is none.

    Together with the pid it names a process for good: pids come round again.
    """
    if _PROC.joinpath("self").exists():
        try:
            return _PROC.joinpath(str(pid), "stat").read_text().rpartition(")")[2].split()[19]
        except OSError:
            return None
    found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def oom_kills() -> str:
    """Return the kernel's count of processes killed for memory: the only hint there is without a cgroup."""
    try:
        lines = _PROC.joinpath("vmstat").read_text().splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith("oom_kill ")), "")
