"""The loop between observing and acting: workers take a key, reconcile what the cache knows of it, and act."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import datetime

from videojob.names import NAME_LABEL
from videojob.phases import TERMINAL_PHASES, Phase
from videojob_operator.backoff import EndlessBackoff
from videojob_operator.cache import Cache
from videojob_operator.client import SELECTORS, Client
from videojob_operator.errors import Conflict, KubernetesUnavailable, OperatorError, Refused
from videojob_operator.events import phase_event
from videojob_operator.evidence import wanted_evidence
from videojob_operator.health import Health
from videojob_operator.limits import failed_by_us
from videojob_operator.live_settings import LiveSettings
from videojob_operator.lookups import Lookups
from videojob_operator.manifests import Key, Kind, Manifest
from videojob_operator.metrics import Metrics
from videojob_operator.notifier import Notifier
from videojob_operator.observed import Observed
from videojob_operator.reconcile import (
    ENDING_SECONDS,
    Action,
    CreateJob,
    DeleteJob,
    DeleteVideoJob,
    EndJob,
    FailPod,
    SetStatus,
    SuspendJob,
    reconcile,
)
from videojob_operator.refusals import why_refused
from videojob_operator.status import Summary, derive_status, difference
from videojob_operator.work_queue import WorkQueue

WORKERS = 32
RESYNC_SECONDS = 600
LONGEST_PAUSE_UNAVAILABLE_SECONDS = 15.0  # an outage must not outlast itself
LONGEST_PAUSE_REFUSED_SECONDS = 300.0  # a quota or a policy seldom changes

log = logging.getLogger(__name__)


class Controller:
    """Everything between the watches and the writes.

    Args:
        clock: tells the time for status fields.
        may_act: set while this operator is the one that works; the workers rest while it is not.
    """

    def __init__(
        self,
        settings: LiveSettings,
        client: Client,
        cache: Cache,
        queue: WorkQueue,
        *,
        namespaces: tuple[str, ...],
        clock: Callable[[], datetime],
        health: Health,
        metrics: Metrics,
        notifier: Notifier,
        may_act: asyncio.Event,
    ) -> None:
        self._settings = settings
        self._client = client
        self._lookups = Lookups(client, time.monotonic)
        self._cache = cache
        self._queue = queue
        self._namespaces = namespaces
        self._clock = clock
        self._health = health
        self._metrics = metrics
        self._notifier = notifier
        self._may_act = may_act
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Fill the cache from full lists, then start the workers: none may see a VideoJob without its Job.

        Without an API server, rights or the VideoJob resource it waits, not ready: to end would only make the
        kubelet wait longer and longer before it starts the operator again.
        """
        for pause_seconds in EndlessBackoff():
            try:
                await self._list_everything()
                break
            except OperatorError as error:
                self._health.not_ready_because = str(error)
                log.warning("cannot list yet; trying again", extra={"error": str(error)})
                await asyncio.sleep(pause_seconds)
        self._tasks = [asyncio.create_task(self._work()) for _ in range(WORKERS)]
        self._tasks.append(asyncio.create_task(self._resync()))
        self._tasks.append(asyncio.create_task(self._settings.watch()))
        self._health.not_ready_because = None
        log.info("ready")

    async def stop(self) -> None:
        """End the workers; what is in flight is carried out by whoever comes next."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._notifier.stop()

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            await self._may_act.wait()
            names = {"job": key.name, "namespace": key.namespace}
            try:
                with self._metrics.reconcile_seconds.time():
                    await self._look(key)
            except KubernetesUnavailable as error:
                self._metrics.reconcile_errors.labels("unavailable").inc()
                log.warning("Kubernetes is unavailable; trying again", extra=names | {"error": str(error)})
                self._queue.failed(key, longest_pause_seconds=LONGEST_PAUSE_UNAVAILABLE_SECONDS)
            except OperatorError as error:
                self._metrics.reconcile_errors.labels("refused").inc()
                log.warning("refused; trying again", extra=names | {"error": str(error)})
                self._queue.failed(key, longest_pause_seconds=LONGEST_PAUSE_REFUSED_SECONDS)
            except Exception:  # a bug with one job must not end the work for all others
                self._metrics.reconcile_errors.labels("bug").inc()
                log.exception("reconciling failed", extra=names)
                self._queue.failed(key, longest_pause_seconds=LONGEST_PAUSE_REFUSED_SECONDS)
            else:
                self._queue.done(key)

    async def _look(self, key: Key) -> None:
        """Reconcile one key."""
        observed = self._cache.observe(key)
        if observed.foreign_job() and observed.phase not in TERMINAL_PHASES:
            await self._refresh(key, observed)  # no watch tells of Jobs that are not ours
            observed = self._cache.observe(key)
        now = self._clock()
        wanted = wanted_evidence(observed, now)
        evidence = await self._lookups.find(key.namespace, wanted)
        decision = reconcile(observed, self._settings.current, now, evidence)
        try:
            for action in decision.actions:
                await self._carry_out(key, observed, action)
        except Conflict:
            await self._refresh(key, observed)
            self._queue.add(key)
        for seconds in (decision.requeue_after_seconds, wanted.again_seconds):
            if seconds is not None:
                self._queue.add_later(key, seconds)
        self._notifier.offer(key, self._cache.get(Kind.VIDEO_JOBS, key))

    async def _carry_out(self, key: Key, observed: Observed, action: Action) -> None:
        match action:
            case CreateJob(job, again):
                if again:
                    await self._refresh(key, observed)
                    self._require_unchanged(key, observed)
                await self._create(key, observed, job)
            case DeleteJob(uid):
                await self._delete(key, observed, uid)
            case EndJob(uid):
                self._cache.absorb(Kind.JOBS, await self._client.end_job(key, uid, ENDING_SECONDS))
                log.info("Job ended", extra=_names(key, observed))
            case FailPod(name, uid):
                pod = await self._client.fail_pod(key.namespace, name, uid, failed_by_us(self._clock()))
                self._cache.absorb(Kind.PODS, pod)
                log.info("pod declared failed", extra=_names(key, observed) | {"pod": name})
            case DeleteVideoJob(uid):
                await self._client.delete_video_job(key, uid)
                log.info("VideoJob deleted after its time to live", extra=_names(key, observed))
            case SuspendJob(suspend):
                self._cache.absorb(Kind.JOBS, await self._client.suspend_job(key, suspend=suspend))
            case SetStatus(fields, look_at_pods):
                if look_at_pods:
                    await self._list(Kind.PODS, key.namespace, f"{NAME_LABEL}={key.name}")
                    self._require_unchanged(key, observed)
                await self._set_status(key, observed, fields)

    def _require_unchanged(self, key: Key, observed: Observed) -> None:
        if self._cache.observe(key) != observed:
            raise Conflict("a fresh look shows something else")

    async def _create(self, key: Key, observed: Observed, job: Manifest) -> None:
        try:
            self._cache.absorb(Kind.JOBS, await self._client.create_job(job))
            log.info("Job created", extra=_names(key, observed))
        except Refused as refusal:
            await self._report_rejection(key, observed, refusal.message)
            raise

    async def _delete(self, key: Key, observed: Observed, uid: str) -> None:
        try:
            await self._client.delete_job(key, uid)
            log.info("Job deleted", extra=_names(key, observed))
        except Conflict:  # gone already
            self._cache.forget(Kind.JOBS, observed.job or {})

    async def _report_rejection(self, key: Key, observed: Observed, message: str) -> None:
        """Show the cluster's own words; the back-off of the queue tries again."""
        summary = Summary(Phase.PENDING, *why_refused(message, "the Job"))
        fields = difference(derive_status(observed, summary, self._clock()), observed.status)
        if fields:
            await self._set_status(key, observed, fields)

    async def _set_status(self, key: Key, observed: Observed, fields: Manifest) -> None:
        patched = await self._client.patch_status(key, observed.video_job or {}, fields)
        self._cache.absorb(Kind.VIDEO_JOBS, patched)
        self._metrics.count(observed, fields)
        if "phase" in fields:
            said = {name: fields.get(name, observed.status.get(name)) for name in ("phase", "reason", "message")}
            log.info("phase changed", extra=_names(key, observed) | {"phase": said["phase"], "reason": said["reason"]})
            with contextlib.suppress(OperatorError):  # an Event is a courtesy
                await self._client.post_event(key.namespace, phase_event(patched, said, self._clock()))

    async def _refresh(self, key: Key, observed: Observed) -> None:
        """Read VideoJob and Job afresh; what was observed and is gone is forgotten."""
        for kind, known in ((Kind.VIDEO_JOBS, observed.video_job), (Kind.JOBS, observed.job)):
            if found := await self._client.read(kind, key):
                self._cache.absorb(kind, found)
            elif known:
                self._cache.forget(kind, known)

    async def _resync(self) -> None:
        """Find what the watches may have missed."""
        while True:
            await asyncio.sleep(RESYNC_SECONDS)
            try:
                await self._list_everything()
            except OperatorError as error:
                log.warning("cannot list; trying again later", extra={"error": str(error)})

    async def _list_everything(self) -> None:
        for namespace in self._namespaces:
            for kind, selector in SELECTORS.items():
                listed, version = await self._list(kind, namespace, selector)
                for key in self._cache.drop_ghosts(kind, namespace, listed, version):
                    self._queue.add(key)
        for key in self._cache.video_job_keys():
            self._queue.add(key)

    async def _list(self, kind: Kind, namespace: str, selector: str) -> tuple[list[Manifest], int]:
        listed, version = await self._client.list_all(kind, namespace, selector)
        for manifest in listed:
            self._cache.absorb(kind, manifest)
        return listed, version


def _names(key: Key, observed: Observed) -> dict[str, str]:
    return {"job": key.name, "namespace": key.namespace, "uid": observed.uid}
