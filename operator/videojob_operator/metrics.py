"""What Prometheus is told. Labels are outcome, reason, model and profile, never a job's name: their number is bounded.

A VideoJob is counted when the status write that makes the change has succeeded. That write is bound to the version it
was decided on, so over all replicas and restarts it succeeds once, and each VideoJob is counted once. Two things
follow. A count that an operator was killed over, between the API server's answer and the next scrape, is lost. And
counters begin anew with each process, which `increase()` over the sum of the replicas allows for. It sees no count that
is born at 1, though: successes are told from 0 on, for each model and profile there is; failures are not, because there
are as many kinds of them as reasons. The first of a kind is missing from an `increase()`, and the alerts add it.

Durations are differences of times that the kubelet and the renderer wrote, so the operator's clock is not in them.
"""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from importlib.metadata import version
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from videojob.phases import TERMINAL_PHASES, Phase
from videojob.reasons import Reason
from videojob_operator.live_settings import LiveSettings
from videojob_operator.manifests import Manifest
from videojob_operator.observed import Observed, termination

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
UNKNOWN = "unknown"  # what a user wrote and the administrator does not know: its own words would be labels without end

_WAIT_BUCKETS = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
_RENDER_BUCKETS = (1, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600, 7200)
_RECONCILE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """All metrics of one operator, in a registry of their own.

    Args:
        phases: returns the phase of every VideoJob in the cache; called by the thread that serves the scrape.
        held: returns how many of those that wait are held by `spec.suspend`; likewise.
        queue_length: returns how many VideoJobs wait to be looked at; likewise.
        live: holds the names of profiles that an administrator gave; others are counted as unknown.
    """

    def __init__(
        self,
        phases: Callable[[], Iterable[str]],
        held: Callable[[], int],
        queue_length: Callable[[], int],
        live: LiveSettings,
    ) -> None:
        registry = CollectorRegistry()
        labels = ("model", "profile")
        self._registry = registry
        self._live = live
        self._created = Counter("videojob_created", "VideoJobs taken on.", labels, registry=registry)
        self._finished = Counter(
            "videojob_finished", "VideoJobs that ended.", ("outcome", "reason", *labels), registry=registry
        )
        self._queue = _histogram("queue", "From creation to the first pod on a node.", _WAIT_BUCKETS, registry)
        self._startup = _histogram("startup", "From pod on a node to loaded model.", _RENDER_BUCKETS, registry)
        self._render = _histogram("render", "From loaded model to uploaded video.", _RENDER_BUCKETS, registry)
        self.reconcile_seconds = Histogram(
            "videojob_operator_reconcile_seconds",
            "One look at one VideoJob, with its writes.",
            buckets=_RECONCILE_BUCKETS,
            registry=registry,
        )
        self.reconcile_errors = Counter(
            "videojob_operator_reconcile_errors", "Looks that are tried again.", ("kind",), registry=registry
        )
        self.requests = Counter(
            "videojob_operator_api_requests", "Calls to the API server.", ("method", "code"), registry=registry
        )
        self.webhooks = Counter("videojob_webhook_attempts", "Webhook deliveries.", ("outcome",), registry=registry)
        self.leader = Gauge("videojob_operator_leader", "1 in the operator that acts, else 0.", registry=registry)
        on_hold = Gauge(
            "videojob_held_jobs",
            "VideoJobs, pending or queued, that spec.suspend holds.",
            registry=registry,
        )
        on_hold.set_function(held)
        waiting = Gauge("videojob_operator_queue_length", "VideoJobs that wait to be looked at.", registry=registry)
        waiting.set_function(queue_length)
        good = Gauge(
            "videojob_operator_settings_ok", "0 while a changed settings file cannot be used.", registry=registry
        )
        good.set_function(lambda: float(live.trouble is None))
        build = Gauge("videojob_operator_build_info", "Always 1.", ("version",), registry=registry)
        build.labels(version("videojob-operator")).set(1)
        for kind in ("unavailable", "refused", "bug"):  # so that a rate is there before the first error
            self.reconcile_errors.labels(kind)
        registry.register(_PhaseGauge(phases))

    def render(self) -> bytes:
        """Return the answer to a scrape."""
        settings = self._live.current
        for model, profile in product(settings.catalogue.models, settings.profiles):
            self._finished.labels(str(Phase.SUCCEEDED).lower(), Reason.COMPLETED, model, profile)
        return generate_latest(self._registry)

    def count(self, observed: Observed, fields: Manifest) -> None:
        """Count what a status write, now carried out, has changed.

        Args:
            observed: what it was decided on.
            fields: the merge patch.
        """
        status = {**observed.status, **fields}
        labels = (self._model(observed, fields), self._profile(observed))
        if observed.phase is None:
            self._created.labels(*labels).inc()
        phase = fields.get("phase")
        if phase in TERMINAL_PHASES and observed.phase not in TERMINAL_PHASES:
            self._finished.labels(str(phase).lower(), status.get("reason", UNKNOWN), *labels).inc()
            if phase == Phase.SUCCEEDED:
                self._observe_durations(observed, status, labels)

    def _model(self, observed: Observed, fields: Manifest) -> str:
        resolved: Mapping[str, str] = observed.status.get("resolved", {}) | fields.get("resolved", {})
        return resolved.get("model", UNKNOWN)

    def _profile(self, observed: Observed) -> str:
        name: str = (observed.video_job or {})["spec"].get("profile", "default")
        return name if name in self._live.current.profiles else UNKNOWN

    def _observe_durations(self, observed: Observed, status: Manifest, labels: tuple[str, str]) -> None:
        pod = observed.finished_pod()
        ended = termination(pod) if pod else None
        seconds = status.get("renderer", {}).get("seconds", {})
        load = seconds.get("load") or 0.0
        _observe(self._queue, labels, status.get("queuedTime"), status.get("startTime"))
        if pod and ended:
            _observe(self._startup, labels, pod["status"].get("startTime"), ended.get("startedAt"), more=load)
            _observe(self._render, labels, ended.get("startedAt"), ended.get("finishedAt"), more=-load)


class _PhaseGauge(Collector):
    """How many VideoJobs are in each phase, counted when asked; all phases are there, also those with none."""

    def __init__(self, phases: Callable[[], Iterable[str]]) -> None:
        self._phases = phases

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the gauge."""
        gauge = GaugeMetricFamily("videojob_jobs", "VideoJobs in each phase.", labels=["phase"])
        found = Tally(self._phases())
        for phase in Phase:
            gauge.add_metric([phase.value], found[phase.value])
        yield gauge


def _histogram(name: str, help_text: str, buckets: tuple[float, ...], registry: CollectorRegistry) -> Histogram:
    return Histogram(f"videojob_{name}_seconds", help_text, ("model", "profile"), buckets=buckets, registry=registry)


def _observe(
    histogram: Histogram, labels: tuple[str, str], start: str | None, end: str | None, *, more: float = 0.0
) -> None:
    if start and end:
        seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() + more
        histogram.labels(*labels).observe(max(0.0, seconds))
