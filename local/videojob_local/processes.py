"""Processes that outlive the command that started them, ended by id and never by name.

Each is recorded as JSON with its pid and the kernel's word for its start, because a pid alone may belong to another
process by now. Each leads a process group of its own, so that Ctrl-C at the terminal reaches only the command, which
then ends the parts in their order.

Nothing is started once `close` was called: a thread that is still starting parts cannot slip one past a stop. And
nothing runs that is not recorded: a process waits for its record before it becomes what it is to be, and ends with the
command that started it if that is killed before.
"""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from videojob_local.errors import PartFailed
from videojob_local.node.process import birth

POLL_SECONDS = 0.05
_ONCE_TOLD = 'read -r _ || exit 1; exec "$@" </dev/null'
"""For sh: the end of its input, without a line before it, is the end of the command that would have told it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One recorded process."""

    name: str
    pid: int
    birth: str | None

    def is_alive(self) -> bool:
        """Tell whether this very process still runs."""
        if self.birth is None or birth(self.pid) != self.birth:
            return False
        try:
            return psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


class Processes:
    """The processes of one stack; records in `folder/processes`, logs in `folder/logs`."""

    def __init__(self, folder: Path) -> None:
        self._records = folder / "processes"
        self._logs = folder / "logs"
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._starting = threading.Lock()
        self._closed = False

    def open(self) -> None:
        """Let processes be started (again)."""
        self._closed = False

    def close(self) -> None:
        """Let no process be started any more; return when none is being started."""
        with self._starting:
            self._closed = True

    def start(
        self, name: str, argv: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Part:
        """Start a process in the background; its output goes to its log file.

        Raises:
            PartFailed: the stack is being stopped.
        """
        self._records.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        with self._starting, self.log_file(name).open("ab") as log:
            self._refuse_when_closed()
            process = subprocess.Popen(
                ["sh", "-c", _ONCE_TOLD, name, *map(str, argv)],
                cwd=cwd,
                env=None if env is None else dict(env),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            self._children[process.pid] = process
            part = Part(name, process.pid, birth(process.pid))
            unfinished = self._record(name).with_suffix(".unfinished")
            unfinished.write_text(json.dumps(asdict(part)))
            unfinished.rename(self._record(name))
            _tell(process)
        return part

    def all(self) -> list[Part]:
        """Return every recorded process, dead or alive."""
        parts = []
        for path in sorted(self._records.glob("*.json")):
            with contextlib.suppress(FileNotFoundError):  # ended meanwhile by another thread
                parts.append(Part(**json.loads(path.read_text())))
        return parts

    def check(self, part: Part) -> None:
        """Raise PartFailed, with the end of the log, if waiting for the process is pointless."""
        self._refuse_when_closed()
        if not part.is_alive():
            raise PartFailed(f"{part.name} ended by itself; its log ends with:\n{self.tail(part.name)}")

    def stop(self, name: str, grace_seconds: float) -> None:
        """End a process: SIGTERM, after the grace period SIGKILL to its whole group; return when it is gone."""
        for part in self.all():
            if part.name == name:
                self._end(part, grace_seconds)
                self._record(name).unlink(missing_ok=True)

    def log_file(self, name: str) -> Path:
        """Return where the output of a process goes."""
        return self._logs / f"{name}.log"

    def tail(self, name: str, lines: int = 15) -> str:
        """Return the last lines of a log, indented."""
        try:
            text = self.log_file(name).read_text(errors="replace")
        except OSError:
            return "  (no log)"
        return "\n".join("  " + line for line in text.splitlines()[-lines:])

    def _record(self, name: str) -> Path:
        return self._records / f"{name}.json"

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise PartFailed("the stack is being stopped")

    def _end(self, part: Part, grace_seconds: float) -> None:
        asked = time.monotonic()
        if part.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(part.pid, signal.SIGTERM)
        while part.is_alive():
            if time.monotonic() - asked > grace_seconds:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(part.pid, signal.SIGKILL)
            time.sleep(POLL_SECONDS)
        if child := self._children.pop(part.pid, None):  # else the process was started by an earlier command
            child.wait()


def _tell(process: subprocess.Popen[bytes]) -> None:
    """Let a process go on that waits for a line."""
    if process.stdin:
        with contextlib.suppress(BrokenPipeError), process.stdin:  # killed meanwhile
            process.stdin.write(b"\n")
