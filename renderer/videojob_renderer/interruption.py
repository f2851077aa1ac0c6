"""SIGTERM as an exception, at once or at the end of what must not be torn apart.

Python runs signal handlers in the main thread between two bytecodes, so the exception also ends imports, the loading
of weights and uploads. Only a denoising step is held together, by `deferred`. A call of a library that does not come
back cannot be ended so; a thread that the signal wakes by itself then ends the process by force.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from videojob.exits import ExitCode
from videojob_renderer.errors import Interrupted

LAST_RESORT_SECONDS = 90.0
"""From the signal to the end by force; after the pod's 120 s the kubelet's SIGKILL would look like out of memory."""


class Interruption:
    """The wish of somebody outside that this process ends.

    Args:
        last_resort_seconds: from the signal to the end by force.
    """

    def __init__(self, last_resort_seconds: float = LAST_RESORT_SECONDS) -> None:
        self.requested = False
        self._last_resort_seconds = last_resort_seconds
        self._deferrals = 1  # until `allow`
        self._wake_up: socket.socket | None = None  # kept open for the interpreter

    def install(self) -> None:
        """Handle SIGTERM (Kubernetes) and SIGINT (Ctrl-C) from now on."""
        receiver, self._wake_up = socket.socketpair()
        self._wake_up.setblocking(False)
        signal.set_wakeup_fd(self._wake_up.fileno())
        threading.Thread(target=self._end_by_force, args=(receiver,), name="last-resort", daemon=True).start()
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def allow(self) -> None:
        """Let the exception rise from now on, and at once if the end was asked for already."""
        self._deferrals -= 1
        self._check()

    def ignore(self) -> None:
        """Raise nothing any more: the process is on its way out."""
        self._deferrals += 1

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let the body come to its end; then raise what was asked for meanwhile."""
        self._deferrals += 1
        try:
            yield
        finally:
            self._deferrals -= 1
        self._check()

    def _check(self) -> None:
        if self.requested and not self._deferrals:
            raise Interrupted

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        # Raised once only: the report of the interruption is not to be interrupted.
        if not self.requested:
            self.requested = True
            self._check()

    def _end_by_force(self, receiver: socket.socket) -> None:
        receiver.recv(1)  # the interpreter's C code writes a byte as the signal comes, whatever Python is doing
        time.sleep(self._last_resort_seconds)
        os._exit(ExitCode.INTERRUPTED)
