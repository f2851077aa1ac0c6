"""Ctrl-C, SIGTERM (make ends its children so) and a closed terminal: each ends a command as one KeyboardInterrupt.

Only the first one counts. What comes after it, or while something is being stopped, is answered with a sentence: an
impatient second Ctrl-C must not leave half a stack behind.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruptions:
    """Turns the signals into one KeyboardInterrupt, for as long as it is entered."""

    def __init__(self) -> None:
        self._deaf = False

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Raise KeyboardInterrupt on the first signal."""
        former = {number: signal.signal(number, self._hear) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Go on through signals: something is being stopped."""
        former, self._deaf = self._deaf, True
        try:
            yield
        finally:
            self._deaf = former

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if self._deaf:
            print("\nStopping; this takes a few seconds …", file=sys.stderr, flush=True)
            return
        self._deaf = True
        raise KeyboardInterrupt


interruptions = Interruptions()
"""The one of this process: signal handlers are the process's own."""
