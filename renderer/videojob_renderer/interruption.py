"""SIGTERM as an exception, at once or at the end of what must not be torn apart.

Python runs signal handlers in the main thread between two bytecodes, so the exception also ends imports, the loading
of weights and uploads. Only a denoising step and the commit of the result are held together, by `deferred`.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from videojob_renderer.errors import Interrupted


class Interruption:
    """The wish of somebody outside that this process ends."""

    def __init__(self) -> None:
        self.requested = False
        self._deferrals = 0

    def install(self) -> None:
        """Handle SIGTERM (Kubernetes) and SIGINT (Ctrl-C) from now on."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def check(self) -> None:
        """Raise Interrupted if the end was asked for and may come now."""
        if self.requested and not self._deferrals:
            raise Interrupted

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let the body come to its end; then raise what was asked for meanwhile."""
        self._deferrals += 1
        try:
            yield
        finally:
            self._deferrals -= 1
        self.check()

    def ignore(self) -> None:
        """Raise nothing any more: the process is on its way out."""
        self._deferrals += 1

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        # Raised once only: the report of the interruption is not to be interrupted.
        if not self.requested:
            self.requested = True
            self.check()
