"""Keys to look at: each waits at most once, is with one worker at a time, and comes back later when looking failed."""

import asyncio
from collections import Counter
from collections.abc import Callable

from videojob_operator.manifests import Key

FIRST_BACKOFF_SECONDS = 0.2
LONGEST_BACKOFF_SECONDS = 300.0
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
        self._failures: Counter[Key] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: Key) -> None:
        """Have a key looked at, soon."""
        if key not in self._waiting:
            self._waiting.add(key)
            if key not in self._active:
                self._ready.put_nowait(key)

    def add_later(self, key: Key, seconds: float) -> None:
        """Have a key looked at after some time."""
        asyncio.get_running_loop().call_later(seconds, self.add, key)

    async def get(self) -> Key:
        """Take the next key; `done` must follow."""
        key = await self._ready.get()
        self._waiting.discard(key)
        self._active.add(key)
        return key

    def done(self, key: Key, *, failed: bool) -> None:
        """Give a key back; a failed one comes again after a pause that doubles each time."""
        self._active.discard(key)
        if failed:
            self._waiting.discard(key)  # what came in meanwhile waits for the same pause
            self.add_later(key, self._backoff_seconds(key))
            return
        self._failures.pop(key, None)
        if key in self._waiting:
            self._ready.put_nowait(key)

    def _backoff_seconds(self, key: Key) -> float:
        doublings = min(self._failures[key], _MOST_DOUBLINGS)
        self._failures[key] += 1
        return min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0**doublings) * self._jitter()
