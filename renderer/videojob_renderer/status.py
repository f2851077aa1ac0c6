"""Writes the status beside the render: a thread that always sends the latest, and never makes the render wait.

Every part of the status (progress, renderer, …) has one slot, in which a newer value replaces an older one that was
not sent yet. So an API server that is slow or away costs intermediate progress, nothing else.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

from videojob_renderer.environment import DEFAULT_PROGRESS_SECONDS
from videojob_renderer.errors import StatusAway, StatusUnavailable
from videojob_renderer.kubernetes import ApiServerAway

_log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 15.0

Status = dict[str, Any]


class StatusWriter:
    """A thread with one slot.

    Args:
        patch: sends a part of the status; raises ApiServerAway or StatusUnavailable.
        interval_seconds: between two writes that are not urgent.
    """

    def __init__(self, patch: Callable[[Status], None], interval_seconds: float = DEFAULT_PROGRESS_SECONDS) -> None:
        self._patch = patch
        self._interval_seconds = interval_seconds
        self._changed = threading.Condition()
        self._waiting: Status = {}
        self._urgent = False
        self._closing = False
        self._error: Exception | None = None
        # Not the thread's join: one that a signal's exception ends takes the thread for ended as well (Python 3.11).
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="status", daemon=True).start()

    def put(self, status: Status, *, urgent: bool = False) -> None:
        """Have a part of the status written soon, or as soon as possible; returns at once.

        Raises:
            StatusUnavailable: an earlier write failed for good, so this attempt renders for nobody any more.
        """
        if isinstance(self._error, StatusUnavailable):
            raise self._error
        with self._changed:
            self._waiting |= status
            self._urgent |= urgent
            self._changed.notify()

    def close(self, last: Status, patience_seconds: float) -> None:
        """Write the last part together with whatever still waits, and end the thread.

        Raises:
            StatusAway: it could not be written for as long as we were patient.
            StatusUnavailable: it cannot be written at all.
        """
        with self._changed:
            self._waiting |= last
            self._closing = self._urgent = True
            self._changed.notify()
        if not self._ended.wait(patience_seconds):
            raise StatusAway(f"the last status could not be written within {patience_seconds:.0f} s: {self._error}")
        if isinstance(self._error, StatusUnavailable):
            raise self._error

    def _run(self) -> None:
        try:
            self._write_all()
        finally:
            self._ended.set()

    def _write_all(self) -> None:
        pause_seconds = 0.0
        while status := self._take(pause_seconds):
            try:
                self._patch(status)
            except ApiServerAway as error:
                self._put_back(status, error)
                pause_seconds = min(max(2 * pause_seconds, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - the thread's end must be told to whoever waits in close()
                self._give_up(error)
                return
            else:
                pause_seconds = 0.0
                self._error = None

    def _take(self, pause_seconds: float) -> Status:
        """Wait until something is to be sent, and may be; nothing means the end."""
        with self._changed:
            # Something urgent ends the pause after a failure too, but once: what is put back is no longer urgent.
            self._changed.wait_for(
                lambda: self._urgent or (self._closing and not self._waiting),
                timeout=pause_seconds or self._interval_seconds,
            )
            self._changed.wait_for(lambda: self._waiting or self._closing)
            status, self._waiting, self._urgent = self._waiting, {}, False
            return status

    def _put_back(self, status: Status, error: ApiServerAway) -> None:
        if self._error is None:
            _log.warning("the status cannot be written, trying on: %s", error)
        with self._changed:
            self._error = error
            self._waiting = status | self._waiting

    def _give_up(self, error: Exception) -> None:
        _log.error("the status can no longer be written: %s", error)
        self._error = error if isinstance(error, StatusUnavailable) else StatusUnavailable(f"{type(error).__name__}")
