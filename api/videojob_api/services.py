"""What the routes work with, opened once when the service starts."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import SystemRandom
from typing import Annotated

from fastapi import Depends, Request

from videojob_api.access import gate
from videojob_api.access.callers import Guard
from videojob_api.access.cluster_users import ClusterUsers
from videojob_api.access.gate import Gate
from videojob_api.access.keys import KeyHolders
from videojob_api.access.open_house import OpenHouse
from videojob_api.access.rates import Rates
from videojob_api.broker.counter import Counter
from videojob_api.broker.renderers import Renderers
from videojob_api.events import Feed
from videojob_api.health import HealthReport
from videojob_api.kubernetes import ApiServer
from videojob_api.readiness import Readiness
from videojob_api.settings import Authentication, Settings
from videojob_api.storage import Storage
from videojob_api.store import JobStore


@dataclass(frozen=True, slots=True)
class Services:
    """The parts behind the routes, for one namespace."""

    settings: Settings
    jobs: JobStore
    storage: Storage
    health: HealthReport
    readiness: Readiness
    feed: Feed
    random: SystemRandom


@dataclass(frozen=True, slots=True)
class Served:
    """The whole service.

    Attributes:
        namespaces: with what the routes work in each, the default first.
        gate: before all of them.
        counter: where renderers get their signed URLs; None = they have keys.
    """

    namespaces: Mapping[str, Services]
    gate: Gate
    counter: Counter | None = None

    @property
    def default(self) -> Services:
        """For requests that name no namespace."""
        return next(iter(self.namespaces.values()))


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Served]:
    """Open the connections and close them in the end.

    Raises:
        ConfigurationError: the settings do not say where Kubernetes or S3 is, or the file of keys cannot be used.
    """
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(ApiServer.connect(settings.kubeconfig))
        entrance = Gate(_guard(settings, cluster), Rates(), settings.namespaces)
        storage = Storage(settings.bucket, settings.s3_endpoint, settings.public_s3_endpoint)
        stack.callback(storage.close)
        stores = {
            name: await stack.enter_async_context(JobStore(cluster.video_jobs(name)).running())
            for name in settings.namespaces
        }
        readiness = Readiness(stores.values(), storage)
        namespaces = {
            name: Services(
                settings=settings,
                jobs=jobs,
                storage=storage,
                health=HealthReport(jobs),
                readiness=readiness,
                feed=Feed(jobs),
                random=SystemRandom(),
            )
            for name, jobs in stores.items()
        }
        yield Served(namespaces, entrance, _counter(settings, cluster, stores, storage))


def _counter(
    settings: Settings, cluster: ApiServer, stores: Mapping[str, JobStore], storage: Storage
) -> Counter | None:
    if settings.renderer_service_account is None:
        return None
    renderers = Renderers(
        cluster.reviews(),
        cluster.pods(),
        stores,
        service_account=settings.renderer_service_account,
        bucket=settings.bucket,
        prefix=settings.prefix,
    )
    return Counter(renderers, storage, settings.prefix, Rates())


def _guard(settings: Settings, cluster: ApiServer) -> Guard:
    match settings.authentication:
        case Authentication.KUBERNETES:
            return ClusterUsers(cluster.reviews(), settings.requests_per_minute)
        case Authentication.KEYS:
            return KeyHolders(settings.keys_file, settings.namespaces, settings.requests_per_minute)
        case Authentication.NONE:
            return OpenHouse(settings.requests_per_minute)


def services_of(request: Request) -> Services:
    """Return the services for the namespace that the gate decided on."""
    served: Served = request.app.state.served
    namespace = request.scope.get(gate.NAMESPACE)
    return served.namespaces[namespace] if namespace else served.default


async def _of_request(request: Request) -> Services:
    # Asynchronous, as all dependencies are: for any other FastAPI wakes a thread, which costs more than the answer.
    return services_of(request)


ServicesOf = Annotated[Services, Depends(_of_request)]
"""A route's parameter of this type is the services."""
