"""Notices a render that has come to a standstill: a GPU that hangs answers no call, and raises no error either.

A call of CUDA that never comes back lets other threads of Python run, so one of them looks at the pace. Only what comes
in equal parts is looked at, denoising steps and decoded chunks, and only once their pace is known: a first step may
compile for many minutes, and a download of weights may take an hour. What stands still elsewhere is ended by
`activeDeadlineSeconds`, which users set.
"""

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from videojob.phases import Stage
from videojob_renderer.errors import GpuFault

TIMES_A_STEP = 5
SHORTEST_SECONDS = 600.0
"""However quick the steps are: one that is done again offloaded, or compiled anew, may take minutes."""

_KNOWN_AFTER_STEPS = 3
_REMEMBERED_STEPS = 20
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Standstill:
    """A step that takes too long.

    Attributes:
        limit_seconds: it has taken longer.
        step_seconds: what one took before.
    """

    limit_seconds: float
    step_seconds: float

    def fault(self, stage: Stage) -> GpuFault:
        """Return the error that it stands for."""
        return GpuFault(
            f"the GPU hangs in stage {stage}: nothing was done for {self.limit_seconds:.0f} s,"
            f" and a part takes {self.step_seconds:.1f} s"
        )


class Pace:
    """How long the parts of a stage take. Pure: time is what its owner says has passed."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED_STEPS)
        self._since_seconds = 0.0

    def advance(self) -> None:
        """Say that a part is done."""
        self._seconds.append(self._since_seconds)
        self._since_seconds = 0.0

    def pass_time(self, seconds: float) -> Standstill | None:
        """Let time pass; returns what has come to a standstill, if anything has."""
        self._since_seconds += seconds
        if len(self._seconds) < _KNOWN_AFTER_STEPS:
            return None
        step_seconds = statistics.median(self._seconds)
        limit_seconds = max(SHORTEST_SECONDS, TIMES_A_STEP * step_seconds)
        return Standstill(limit_seconds, step_seconds) if self._since_seconds > limit_seconds else None


class Watchdog:
    """A thread that looks at the pace.

    Args:
        on_standstill: called once, in this thread; the render's own thread will not come back.
    """

    def __init__(self, on_standstill: Callable[[Standstill], None]) -> None:
        self._on_standstill = on_standstill
        self._lock = threading.Lock()
        self._pace = Pace()
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def enter(self) -> None:
        """Say that another stage begins, whose pace is not known."""
        with self._lock:
            self._pace = Pace()

    def advance(self) -> None:
        """Say that a part of the stage is done."""
        with self._lock:
            self._pace.advance()

    def close(self) -> None:
        """Look no more."""
        self._closed.set()

    def _watch(self) -> None:
        looked = time.monotonic()
        while not self._closed.wait(_LOOK_SECONDS):
            now = time.monotonic()
            # A process that was frozen as a whole, this thread included, has not stood still by itself.
            passed, looked = min(now - looked, 2 * _LOOK_SECONDS), now
            with self._lock:
                standstill = self._pace.pass_time(passed)
            if standstill:
                self._on_standstill(standstill)
                return
