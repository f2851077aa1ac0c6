"""What Prometheus is told. Labels are the template of a route, method, status and phase: no job, caller or namespace.

A request is measured until its answer begins, because events and downloads go on for as long as the client likes. What
the gate refuses has reached no route, and is counted under the route `none`.
"""

from collections.abc import Callable, Iterable
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from videojob.phases import Phase
from videojob_api.store import JobStore

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS"})
_ROUTE_LABELS = ("method", "route")


class Metrics:
    """All metrics of one service, in a registry of their own.

    Attributes:
        in_progress: requests, streams and downloads under way.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._stores: tuple[JobStore, ...] = ()
        self._counted: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._requests = Counter(
            "videojob_api_requests", "Answered requests.", (*_ROUTE_LABELS, "status"), registry=registry
        )
        self._seconds = Histogram(
            "videojob_api_request_seconds",
            "From a request to the beginning of its answer.",
            _ROUTE_LABELS,
            buckets=_BUCKETS,
            registry=registry,
        )
        self.in_progress = 0
        under_way = Gauge(
            "videojob_api_requests_in_progress", "Requests, streams and downloads under way.", registry=registry
        )
        under_way.set_function(lambda: self.in_progress)
        stale = Gauge("videojob_api_stale_seconds", "For how long the API server has not answered.", registry=registry)
        stale.set_function(lambda: max((store.stale_seconds() for store in self._stores), default=0.0))
        build = Gauge("videojob_api_build_info", "Always 1.", ("version",), registry=registry)
        build.labels(version("videojob-api")).set(1)
        registry.register(_PhaseGauge(lambda: self._stores))

    def watch(self, stores: Iterable[JobStore]) -> None:
        """Count the jobs of these from now on."""
        self._stores = tuple(stores)

    def count(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            method: of the request.
            route: template of its path; None where it has reached none.
            status: of the answer.
            seconds: until the answer began.
        """
        kind = method if method in _METHODS else "other", route or "none", status
        counted = self._counted.get(kind) or self._count_kind(*kind)
        counted[0].inc()
        counted[1].observe(seconds)

    def _count_kind(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        """Begin to count requests of a kind. There are few kinds, and to look one up by its labels takes its time."""
        counted = self._requests.labels(method, route, str(status)), self._seconds.labels(method, route)
        self._counted[method, route, status] = counted
        return counted

    def render(self) -> bytes:
        """Return all of them in Prometheus' text format."""
        return generate_latest(self._registry)


class _PhaseGauge(Collector):
    """Jobs by phase, counted when Prometheus asks; none before they are known."""

    def __init__(self, stores: Callable[[], Iterable[JobStore]]) -> None:
        self._stores = stores

    def collect(self) -> Iterable[GaugeMetricFamily]:
        stores = [store for store in self._stores() if store.synced]
        family = GaugeMetricFamily("videojob_api_jobs", "Jobs by phase, of all namespaces.", labels=["phase"])
        if stores:
            for phase in Phase:
                seen = {phase, ""} if phase is Phase.PENDING else {phase}  # "" until the operator has seen it
                family.add_metric([phase], sum(store.cache.count(each) for store in stores for each in seen))
        return [family]
