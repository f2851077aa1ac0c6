"""Work that goes on beside the caller's own: a thread that takes values in order, of which one may wait.

One, because a value is a chunk of frames: who makes them faster than they are taken waits, and holds no more memory.
"""

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Beside(Generic[T]):
    """A thread with one slot.

    Args:
        take: is called in the thread with each value; what it raises is raised by the next `put`, or by `finish`.
        name: of the thread.
    """

    def __init__(self, take: Callable[[T], None], name: str) -> None:
        self._take = take
        self._slot: queue.Queue[T | None] = queue.Queue(maxsize=1)
        self._error: Exception | None = None
        # Not the thread's join: one that a signal's exception ends takes the thread for ended as well (Python 3.11).
        self._ended = threading.Event()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def put(self, value: T) -> None:
        """Hand over a value; wait while another one waits.

        Raises:
            Exception: what `take` raised for an earlier value.
        """
        if self._error is not None:
            raise self._error
        self._slot.put(value)

    def finish(self) -> None:
        """Wait until all values are taken.

        Raises:
            Exception: what `take` raised.
        """
        self.end()
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Wait until all values are taken, or left because of an error; a second time does no harm."""
        while not self._ended.is_set():
            try:
                self._slot.put(None, timeout=0.1)
            except queue.Full:
                continue
            self._ended.wait()

    def _run(self) -> None:
        try:
            while (value := self._slot.get()) is not None:
                if self._error is None:
                    self._try(value)
        finally:
            self._ended.set()

    def _try(self, value: T) -> None:
        try:
            self._take(value)
        except Exception as error:  # noqa: BLE001 - it is the caller's
            self._error = error
