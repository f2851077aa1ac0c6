"""Keeps the cache in step with the API server: list, watch, go on where the watch ended, list again when it must.

One watch serves all readers and listeners of this process. An outage ends nothing: the pause between tries grows to a
few seconds and stays there, and the cache goes on answering meanwhile, with its age told.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from videojob_api.cache import Cache
from videojob_api.errors import ApiError, ClusterUnavailable
from videojob_api.kubernetes import Change, VideoJobs, WatchExpired

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
LINES_RING_SECONDS = 1.0
"""A line moves at most this often for those who listen."""


class Informer:
    """List and watch for one cache.

    Attributes:
        synced: the cache has held everything at least once.
    """

    def __init__(self, jobs: VideoJobs, cache: Cache, clock: Callable[[], float] = time.monotonic) -> None:
        self._jobs = jobs
        self._cache = cache
        self._clock = clock
        self._version: str | None = None
        self._trouble: ApiError | None = None
        self._away_since: float | None = None
        self._hurry = asyncio.Event()
        self._tried = asyncio.Event()
        self.synced = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the cache in step for the time of this context."""
        tasks = [asyncio.create_task(self._keep_in_step()), asyncio.create_task(self._ring())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    def stale_seconds(self) -> float:
        """Return for how long the API server has not answered; 0 while the watch stands."""
        return 0.0 if self._away_since is None else self._clock() - self._away_since

    async def wait_for_sync(self) -> None:
        """Return when the cache has held everything once; tries at once rather than after a pause.

        Raises:
            ApiError: this try failed too.
        """
        if self.synced:
            return
        self._tried.clear()
        self._hurry.set()
        await self._tried.wait()
        if not self.synced:
            raise self._trouble or ClusterUnavailable("the Kubernetes API server does not answer")

    async def _keep_in_step(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                async for _ in self._follow():
                    pause = FIRST_PAUSE_SECONDS
            except WatchExpired:
                self._version = None
            except ApiError as error:
                self._note_trouble(error)
                await self._pause(pause * random.uniform(0.8, 1.2))
                pause = min(LONGEST_PAUSE_SECONDS, pause * 2)
            except Exception as error:
                log.exception("the watch ended unforeseen; listing again", exc_info=error)
                self._version = None
                await self._pause(LONGEST_PAUSE_SECONDS)

    async def _follow(self) -> AsyncIterator[None]:
        """List if need be, then watch; give a sign whenever the API server has answered."""
        if self._version is None:
            self._version = await self._list()
        async for change in self._jobs.watch(self._version):
            self._note_answer()
            if change:
                self._absorb(change)
                self._version = change.version
            yield

    async def _list(self) -> str:
        uids: set[str] = set()
        version = ""
        async for page in self._jobs.pages():
            version = page.version
            for job in page.items:
                uids.add(job["metadata"]["uid"])
                self._cache.absorb(job)
            await asyncio.sleep(0)
        self._cache.drop_all_but(uids, int(version))
        self._note_answer()
        return version

    def _absorb(self, change: Change) -> None:
        meta = change.job["metadata"]
        if change.kind == "DELETED":
            self._cache.forget(meta["name"], meta["uid"])
        elif change.kind != "BOOKMARK":
            self._cache.absorb(change.job)

    def _note_answer(self) -> None:
        if self._away_since is not None or not self.synced:
            log.info("the jobs are known", extra={"jobs": len(self._cache), "stale_seconds": self.stale_seconds()})
        self.synced = True
        self._trouble = self._away_since = None
        self._tried.set()

    def _note_trouble(self, error: ApiError) -> None:
        if self._away_since is None:
            self._away_since = self._clock()
            log.warning("the API server is away; answering from memory", extra={"error": error.message})
        self._trouble = error
        self._tried.set()

    async def _pause(self, seconds: float) -> None:
        """Wait, but not while somebody waits for us."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        self._hurry.clear()

    async def _ring(self) -> None:
        while True:
            await asyncio.sleep(LINES_RING_SECONDS)
            self._cache.ring_for_moved_lines()
