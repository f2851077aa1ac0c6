"""The numbers of GET /health, at most two seconds old, so that the use of the CPU is a mean over some time."""

import asyncio
import time
from collections.abc import Callable

from anyio import to_thread

from videojob.phases import Phase
from videojob_api import usage
from videojob_api.answers import HealthAnswer
from videojob_api.store import JobStore

FRESH_SECONDS = 2.0


class HealthReport:
    """The latest numbers."""

    def __init__(self, jobs: JobStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._jobs = jobs
        self._clock = clock
        self._turn = asyncio.Lock()
        self._latest: HealthAnswer | None = None
        self._taken_at = 0.0
        usage.start_measuring()

    async def latest(self) -> HealthAnswer:
        """Return the numbers; whoever comes while they are being taken waits for the same ones.

        Raises:
            ClusterUnavailable: the jobs cannot be counted.
        """
        async with self._turn:
            if self._latest is None or self._clock() - self._taken_at > FRESH_SECONDS:
                self._latest = await self._take()
                self._taken_at = self._clock()
            return self._latest

    async def _take(self) -> HealthAnswer:
        jobs = await self._jobs.known()
        gpu = usage.mean(jobs.gpu_percents())
        return HealthAnswer(
            cpu_usage=usage.cpu_percent(),
            memory_usage=usage.memory_percent(),
            gpu_usage=await to_thread.run_sync(usage.mean_of_local_gpus) if gpu is None else gpu,
            active_jobs=jobs.active(),
            completed_jobs=jobs.count(Phase.SUCCEEDED),
        )
