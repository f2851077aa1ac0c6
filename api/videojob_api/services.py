"""What the routes work with, opened once when the service starts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import SystemRandom
from typing import Annotated

from fastapi import Depends, Request

from videojob_api.events import Feed
from videojob_api.health import HealthReport
from videojob_api.kubernetes import VideoJobs
from videojob_api.readiness import Readiness
from videojob_api.settings import Settings
from videojob_api.storage import Storage
from videojob_api.store import JobStore
from videojob_api.views import describe


@dataclass(frozen=True, slots=True)
class Services:
    """The parts behind the routes."""

    settings: Settings
    jobs: JobStore
    storage: Storage
    health: HealthReport
    readiness: Readiness
    feed: Feed
    random: SystemRandom


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open the connections and close them in the end.

    Raises:
        ConfigurationError: the settings do not say where Kubernetes or S3 is.
    """
    async with VideoJobs.connect(settings.kubeconfig, settings.namespace) as live, JobStore(live).running() as jobs:
        storage = Storage(settings.bucket, settings.s3_endpoint, settings.public_s3_endpoint)
        try:
            yield Services(
                settings=settings,
                jobs=jobs,
                storage=storage,
                health=HealthReport(jobs),
                readiness=Readiness(jobs, storage),
                feed=Feed(jobs, lambda job, standing: describe(job, standing).model_dump_json()),
                random=SystemRandom(),
            )
        finally:
            storage.close()


def _of_request(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(_of_request)]
"""A route's parameter of this type is the services."""
