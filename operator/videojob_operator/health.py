"""What the probes are told: does the event loop move, is every watch alive, is the work going on.

A watch is renewed every two minutes, by us or by the API server, and Kopf tries again every few seconds while it
cannot. One that was not even tried for longer is dead, and only a new process helps. An outage of the API server is
no reason to fail: a new process could not reach it either.
"""

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus

LONGEST_LAG_SECONDS = 30.0
BEAT_SECONDS = 1.0
WATCH_SECONDS = 120
LONGEST_SILENCE_SECONDS = 300.0


class Health:
    """What the probes are told.

    Args:
        monotonic: a clock that only runs forward.

    Attributes:
        not_ready_because: None once the cache is filled and the workers run, or while standing by.
        role: what /readyz says when all is well.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.not_ready_because: str | None = "starting"
        self.role = "ok"
        self._monotonic = monotonic
        self._last_beat = monotonic()
        self._watches: dict[str, float] = {}

    async def beat(self) -> None:
        """Prove, again and again, that the event loop moves."""
        while True:
            self.moved()
            await asyncio.sleep(BEAT_SECONDS)

    def moved(self) -> None:
        """Take note that the event loop moves."""
        self._last_beat = self._monotonic()

    def lag_seconds(self) -> float:
        """Return how long the event loop has been silent."""
        return self._monotonic() - self._last_beat

    def watch_tried(self, watch: str) -> None:
        """Take note that a watch was begun, whatever came of it."""
        self._watches[watch] = self._monotonic()

    def dead_watches(self) -> list[str]:
        """Return the watches that nobody renews any more."""
        now = self._monotonic()
        return sorted(watch for watch, at in list(self._watches.items()) if now - at > LONGEST_SILENCE_SECONDS)

    def answer(self, path: str) -> tuple[HTTPStatus, str]:
        """Answer a probe."""
        if path == "/healthz":
            why = self._ill_because()
            return (HTTPStatus.OK, "ok") if why is None else (HTTPStatus.SERVICE_UNAVAILABLE, why)
        if path == "/readyz":
            why = self.not_ready_because
            return (HTTPStatus.OK, self.role) if why is None else (HTTPStatus.SERVICE_UNAVAILABLE, why)
        return HTTPStatus.NOT_FOUND, "not found"

    def _ill_because(self) -> str | None:
        if self.lag_seconds() >= LONGEST_LAG_SECONDS:
            return "the event loop is stuck"
        dead = self.dead_watches()
        return f"no watch of {', '.join(dead)}" if dead else None
