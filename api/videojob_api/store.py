"""The VideoJobs as the routes see them: reads from memory, writes through to the API server.

A new job is found on any replica: answers to writes go into the memory of the replica that wrote, and a job that a
replica does not know is asked for live before it is called unknown. A delete is answered when the watch has told of it,
for by then the other replicas have heard of it as well. A cancel, as any change, is read on another replica only when
its watch has told of it.

Read with `get` what a moment's delay does no harm to, with `get_record` the same without unpacking the manifest, with
`get_newest` before a client is refused what another replica may have told it already, and with `get_live` where only
the API server's own word counts.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from videojob_api import staleness
from videojob_api.cache import Cache, Place
from videojob_api.errors import ClusterUnavailable, UnknownJob
from videojob_api.informer import Informer
from videojob_api.kubernetes import VideoJobs
from videojob_api.manifests import Manifest
from videojob_api.orders import MAX_COUNT, name_in_batch
from videojob_api.records import Record, batch_of, remember
from videojob_api.standing import Standing, standing_of

DELETE_SEEN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Listed:
    """Some jobs in the order of their age.

    Attributes:
        rest: the place behind which the next ones come; None where these are the last.
    """

    jobs: list[Manifest]
    rest: Place | None


class JobStore:
    """The VideoJobs of one namespace.

    Attributes:
        live: for what must come from the API server itself.
        cache: what this process knows; for listeners and counts.
    """

    def __init__(self, live: VideoJobs) -> None:
        self.live = live
        self.cache = Cache()
        self._informer = Informer(live, self.cache)
        self.namespace = live.namespace

    @asynccontextmanager
    async def running(self) -> AsyncIterator["JobStore"]:
        """Keep the memory in step with the API server for the time of this context."""
        async with self._informer.running():
            yield self

    @property
    def synced(self) -> bool:
        """Whether everything has been known once."""
        return self._informer.synced

    def stale_seconds(self) -> float:
        """Return for how long the API server has not answered; 0 while it does."""
        return self._informer.stale_seconds()

    async def get(self, name: str) -> Manifest:
        """Return a VideoJob.

        Raises:
            UnknownJob: there is none.
            ClusterUnavailable: it is not known here, and Kubernetes does not answer.
        """
        record = self._remembered(name)
        return await self.get_live(name) if record is None else record.manifest()

    async def get_record(self, name: str) -> Record:
        """Return what is remembered of a VideoJob, asked for where it was not; raises what `get` raises."""
        return self._remembered(name) or remember(await self.get_live(name))

    async def get_live(self, name: str) -> Manifest:
        """Return a VideoJob as the API server knows it now."""
        job = await self.live.get(name)
        self.cache.absorb(job)
        return job

    async def get_newest(self, name: str) -> Manifest:
        """Return a VideoJob as the API server knows it now, or as it is remembered where that does not answer."""
        try:
            return await self.get_live(name)
        except ClusterUnavailable:
            return await self.get(name)

    async def place_of(self, name: str) -> Place:
        """Return where a VideoJob stands by age, or stood until it was deleted; raises what `get` raises."""
        return self.cache.place_of(name) or remember(await self.get_live(name)).place

    async def create(
        self, name: str, spec: Manifest, labels: Mapping[str, str], annotations: Mapping[str, str]
    ) -> Manifest:
        """Create a VideoJob and return it.

        Raises:
            NameTaken: there is one of this name.
        """
        metadata = {"name": name, "labels": dict(labels), "annotations": dict(annotations)}
        job = await self.live.create(metadata, spec)
        self.cache.absorb(job)
        return job

    async def cancel(self, name: str) -> Manifest:
        """Set spec.cancel and return the VideoJob."""
        job = await self._write(name, self.live.cancel)
        self.cache.absorb(job)
        return job

    async def delete(self, name: str) -> None:
        """Delete a VideoJob; its Job and its pods follow, its video stays in S3."""
        with self.cache.listening(name) as bell:
            answer = await self._write(name, self.live.delete)
            if answer.get("kind") != "Status":
                self.cache.absorb(answer)
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DELETE_SEEN_SECONDS):
                    while (known := self.cache.get(name)) and known.uid == answer["details"]["uid"]:
                        bell.clear()
                        await bell.wait()
        self.cache.forget(name, answer["details"]["uid"])

    async def list(
        self, wanted: Callable[[Record], bool], limit: int, after: Place | None = None, *, newest_first: bool = False
    ) -> Listed:
        """Return at most `limit` jobs that somebody wants, from behind a place on.

        Raises:
            ClusterUnavailable: they were never known, and Kubernetes does not answer.
        """
        await self._informer.wait_for_sync()
        self._tell_age()
        records = [
            record
            for record, _ in zip(
                (each for each in self.cache.after(after, newest_first=newest_first) if wanted(each)),
                range(limit + 1),
                strict=False,
            )
        ]
        rest = records[limit - 1].place if len(records) > limit else None
        return Listed([record.manifest() for record in records[:limit]], rest)

    async def known(self) -> Cache:
        """Return the memory for counting, once it has held everything."""
        await self._informer.wait_for_sync()
        self._tell_age()
        return self.cache

    def batch_of(self, job: Manifest) -> tuple[str, ...]:
        """Return the names of those that were asked for together with a VideoJob and are there; none for one alone."""
        first = batch_of(job)
        names = (name_in_batch(first, number) for number in range(MAX_COUNT if first else 0))
        return tuple(name for name in names if (known := self.cache.get(name)) and known.batch == first)

    def standing(self, job: Manifest) -> Standing:
        """Return where a job stands in its line, and when it may end."""
        return self.standing_of(self.cache.get(job["metadata"]["name"]))

    def standing_of(self, record: Record | None) -> Standing:
        """Return the same of a job that was remembered."""
        return standing_of(record, self.cache, datetime.now(UTC))

    async def probe(self) -> None:
        """Return when the API server answers and lets us list VideoJobs."""
        await self.live.probe()

    async def _write(self, name: str, write: Callable[[str], Awaitable[Manifest]]) -> Manifest:
        """Write; what does not exist there is not remembered here either."""
        try:
            return await write(name)
        except UnknownJob:
            if known := self.cache.get(name):
                self.cache.forget(name, known.uid)
            raise

    def _remembered(self, name: str) -> Record | None:
        record = self.cache.get(name)
        if record is not None:
            self._tell_age()
        return record

    def _tell_age(self) -> None:
        staleness.tell(self._informer.stale_seconds())
