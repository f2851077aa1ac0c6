"""What everything that acts for this operator shares: the API server, what is known of it, and the right to act.

Whatever is news calls for a look at its VideoJob, whether a watch, a list or the answer to an own write brought it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from videojob_operator.cache import Cache
from videojob_operator.client import Client
from videojob_operator.manifests import Key, Kind, Manifest
from videojob_operator.metrics import Metrics
from videojob_operator.turns import Turns
from videojob_operator.work_queue import WorkQueue


@dataclass(frozen=True, slots=True)
class Context:
    """The one of each in this process.

    Attributes:
        client: of the API server.
        cache: the newest known objects.
        queue: of the VideoJobs to look at.
        metrics: told of what is done.
        clock: tells the API server's time.
        may_act: set while this operator is the one that works.
        turns: who waits for room in a quota.
    """

    client: Client
    cache: Cache
    queue: WorkQueue
    metrics: Metrics
    clock: Callable[[], datetime]
    may_act: asyncio.Event
    turns: Turns = field(default_factory=Turns)

    def learn(self, kind: Kind, manifest: Manifest, listed_at: int = 0) -> None:
        """Take in an object, for which see `Cache.absorb`."""
        if key := self.cache.absorb(kind, manifest, listed_at):
            self.queue.add(key)

    def forget(self, kind: Kind, manifest: Manifest) -> None:
        """Drop an object that is gone. A Job that is makes room in a quota."""
        if key := self.cache.forget(kind, manifest):
            self.queue.add(key)
            if kind is Kind.JOBS and (next_one := self.turns.take(key.namespace)):
                self.queue.begin_anew(next_one)

    async def read_again(self, kind: Kind, key: Key, known: Manifest | None) -> None:
        """Read a VideoJob or a Job afresh; what was known and is gone is forgotten."""
        if found := await self.client.read(kind, key):
            self.learn(kind, found)
        elif known:
            self.forget(kind, known)


def log_fields(key: Key, uid: str) -> dict[str, str]:
    """Return what names a VideoJob in a log line."""
    return {"job": key.name, "namespace": key.namespace, "uid": uid}
