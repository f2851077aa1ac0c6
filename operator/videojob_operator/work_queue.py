"""Keys to look at: each waits at most once, is with one worker at a time, and comes back later when looking failed."""

import asyncio
from collections import Counter
from collections.abc import Callable

from videojob_operator.manifests import Key

FIRST_BACKOFF_SECONDS = 0.2
_MOST_DOUBLINGS = 11  # 2**n as a float overflows after some 1,000 failures


class WorkQueue:
    """A queue of keys.

    Args:
        jitter: returns a number from 0.5 to 1 that spreads retries out.
    """

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._waiting: set[Key] = set()
        self._active: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: Counter[Key] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: Key) -> None:
        """Have a key looked at, soon."""
        if key not in self._waiting:
            self._waiting.add(key)
            if key not in self._active:
                self._ready.put_nowait(key)

    def begin_anew(self, key: Key) -> None:
        """Have a key looked at, soon, and with short pauses again if it fails."""
        self._failures.pop(key, None)
        self.add(key)

    def add_later(self, key: Key, seconds: float) -> None:
        """Have a key looked at after some time. It has one timer: of two wishes the earlier one holds."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        timer = self._timers.get(key)
        if timer is None or timer.when() > due:
            if timer:
                timer.cancel()
            self._timers[key] = loop.call_at(due, self._ring, key)

    async def get(self) -> Key:
        """Take the next key; `done` or `failed` must follow."""
        key = await self._ready.get()
        self._waiting.discard(key)
        self._active.add(key)
        return key

    def done(self, key: Key) -> None:
        """Give a key back that was looked at."""
        self._active.discard(key)
        self._failures.pop(key, None)
        if key in self._waiting:
            self._ready.put_nowait(key)

    def failed(self, key: Key, *, longest_pause_seconds: float) -> None:
        """Give a key back that is to come again, after a pause that doubles each time up to a limit."""
        self._active.discard(key)
        self._waiting.discard(key)  # what came in meanwhile waits for the same pause
        self.add_later(key, self._pause_seconds(key, longest_pause_seconds))

    def _ring(self, key: Key) -> None:
        del self._timers[key]
        self.add(key)

    def _pause_seconds(self, key: Key, longest_seconds: float) -> float:
        doublings = min(self._failures[key], _MOST_DOUBLINGS)
        self._failures[key] += 1
        return min(longest_seconds, FIRST_BACKOFF_SECONDS * 2.0**doublings) * self._jitter()
