"""What the cluster said of a caller, remembered for a while: asked once, however many ask at the same time.

Strangers take nothing from those who are known. Refusals are kept apart, so they push nobody out, and only so many
strangers are asked about at a time, while who was let in before does not wait for them. A failure is remembered by
nobody: the next request asks again.
"""

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from videojob_api.errors import ClusterUnavailable

SHORTEST_SECONDS = 30.0
LONGEST_SECONDS = 60.0
GRANTS_KEPT = 10_000
REFUSALS_KEPT = 1_000
STRANGERS_AT_ONCE = 32
LONGEST_WAIT_SECONDS = 5.0
"""Of a stranger for its turn."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Decisions(Generic[K, V]):
    """Answers by question, each for 30 to 60 seconds: not all of them end at once. False and None are refusals."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._grants: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._refusals: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._under_way: dict[K, asyncio.Task[V]] = {}
        self._turns = asyncio.Semaphore(STRANGERS_AT_ONCE)

    async def get(self, question: K, ask: Callable[[], Awaitable[V]]) -> V:
        """Return the answer, from memory or by asking.

        Raises:
            ClusterUnavailable: too many strangers are before this one.
            Exception: whatever `ask` raises.
        """
        for known in (self._grants, self._refusals):
            kept = known.get(question)
            if kept and self._clock() < kept[0]:
                return kept[1]
        task = self._under_way.get(question)
        if task is None:
            task = self._under_way[question] = asyncio.ensure_future(self._ask(question, ask))
        # A client that goes away must not take the answer from the others.
        return await asyncio.shield(task)

    async def _ask(self, question: K, ask: Callable[[], Awaitable[V]]) -> V:
        try:
            until, answer = await (self._timed(ask) if question in self._grants else self._in_turn(ask))
        finally:
            del self._under_way[question]
        self._grants.pop(question, None)
        self._refusals.pop(question, None)
        known, kept = (self._grants, GRANTS_KEPT) if answer else (self._refusals, REFUSALS_KEPT)
        known[question] = until, answer
        if len(known) > kept:
            known.popitem(last=False)
        return answer

    async def _in_turn(self, ask: Callable[[], Awaitable[V]]) -> tuple[float, V]:
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise ClusterUnavailable("too many who are not known yet call at once") from None
        try:
            return await self._timed(ask)
        finally:
            self._turns.release()

    async def _timed(self, ask: Callable[[], Awaitable[V]]) -> tuple[float, V]:
        """Ask; return until when the answer holds, counted from the question, and the answer."""
        until = self._clock() + random.uniform(SHORTEST_SECONDS, LONGEST_SECONDS)
        return until, await ask()
