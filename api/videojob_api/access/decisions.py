"""What the cluster said of a caller, remembered for a while: asked once, however many ask at the same time.

A failure is remembered by nobody: the next request asks again.
"""

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

SHORTEST_SECONDS = 30.0
LONGEST_SECONDS = 60.0
KEPT = 10_000

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Decisions(Generic[K, V]):
    """Answers by question, each for 30 to 60 seconds: not all of them end at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[K, tuple[float, asyncio.Task[V]]] = OrderedDict()

    async def get(self, question: K, ask: Callable[[], Awaitable[V]]) -> V:
        """Return the answer, from memory or by asking.

        Raises:
            Exception: whatever `ask` raises.
        """
        until, task = self._known.get(question, (0.0, None))
        if task is None or until <= self._clock() or _has_failed(task):
            task = asyncio.ensure_future(_asked(ask))
            until = self._clock() + random.uniform(SHORTEST_SECONDS, LONGEST_SECONDS)
            self._known[question] = until, task
            self._known.move_to_end(question)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        # A client that goes away must not take the answer from the others.
        return await asyncio.shield(task)


async def _asked(ask: Callable[[], Awaitable[V]]) -> V:
    return await ask()


def _has_failed(task: "asyncio.Task[V]") -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
