"""The loop between observing and acting: workers take a key, reconcile what the cache knows of it, and act."""

import asyncio
import contextlib
import logging
import time

from videojob.phases import TERMINAL_PHASES, Phase
from videojob.reasons import Reason
from videojob_operator.backoff import EndlessBackoff
from videojob_operator.context import Context, log_fields
from videojob_operator.errors import Conflict, KubernetesUnavailable, OperatorError, Refused
from videojob_operator.events import phase_event
from videojob_operator.evidence import wanted_evidence
from videojob_operator.health import Health
from videojob_operator.limits import failed_by_us
from videojob_operator.lists import Lists
from videojob_operator.live_settings import LiveSettings
from videojob_operator.lookups import Lookups
from videojob_operator.manifests import Key, Kind, Manifest
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

WORKERS = 32
RESYNC_SECONDS = 600
LONGEST_PAUSE_UNAVAILABLE_SECONDS = 15.0  # an outage must not outlast itself
LONGEST_PAUSE_REFUSED_SECONDS = 300.0  # a quota or a policy seldom changes

log = logging.getLogger(__name__)


class Controller:
    """Everything between the watches and the writes.

    Args:
        context: what is shared; the workers rest while this operator may not act.
        settings: catalogue and profiles as they are now.
        lists: fill the cache.
        health: told whether all is ready.
        notifier: gets each VideoJob after a look at it.
    """

    def __init__(
        self,
        context: Context,
        settings: LiveSettings,
        lists: Lists,
        *,
        health: Health,
        notifier: Notifier,
    ) -> None:
        self._context = context
        self._client = context.client
        self._queue = context.queue
        self._settings = settings
        self._lookups = Lookups(context.client, time.monotonic)
        self._lists = lists
        self._health = health
        self._notifier = notifier
        self._tasks: list[asyncio.Task[None]] = []
        self._unanswered: dict[Key, tuple[Observed, Manifest]] = {}  # changes of phase that may have been carried out

    async def start(self) -> None:
        """Fill the cache from full lists, then start the workers: none may see a VideoJob without its Job.

        Without an API server, rights or the VideoJob resource it waits, not ready: to end would only make the
        kubelet wait longer and longer before it starts the operator again.
        """
        for pause_seconds in EndlessBackoff():
            try:
                await self._lists.begin()
                break
            except OperatorError as error:
                self._health.not_ready_because = str(error)
                log.warning("cannot list yet; trying again", extra={"error": str(error)})
                await asyncio.sleep(pause_seconds)
        self._settings.refresh()  # read when the process began, and a standby may have stood by for weeks
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
        metrics = self._context.metrics
        while True:
            key = await self._queue.get()
            await self._context.may_act.wait()
            names = {"job": key.name, "namespace": key.namespace}
            try:
                with metrics.reconcile_seconds.time():
                    await self._look(key)
            except KubernetesUnavailable as error:
                metrics.reconcile_errors.labels("unavailable").inc()
                log.warning("Kubernetes is unavailable; trying again", extra=names | {"error": str(error)})
                self._queue.failed(key, longest_pause_seconds=LONGEST_PAUSE_UNAVAILABLE_SECONDS)
            except OperatorError as error:
                metrics.reconcile_errors.labels("refused").inc()
                log.warning("refused; trying again", extra=names | {"error": str(error)})
                self._queue.failed(key, longest_pause_seconds=LONGEST_PAUSE_REFUSED_SECONDS)
            except Exception:  # a bug with one job must not end the work for all others
                metrics.reconcile_errors.labels("bug").inc()
                log.exception("reconciling failed", extra=names)
                self._queue.failed(key, longest_pause_seconds=LONGEST_PAUSE_REFUSED_SECONDS)
            else:
                self._queue.done(key)

    async def _look(self, key: Key) -> None:
        """Reconcile one key."""
        cache = self._context.cache
        self._context.turns.leave(key)
        observed = cache.observe(key)
        if observed.foreign_job() and observed.phase not in TERMINAL_PHASES:
            await self._refresh(key, observed)  # no watch tells of Jobs that are not ours
            observed = cache.observe(key)
        await self._make_up_for_lost_answer(key, observed)
        now = self._context.clock()
        wanted = wanted_evidence(observed, now)
        evidence = await self._lookups.find(key.namespace, wanted)
        decision = reconcile(observed, self._settings.current, now, evidence)
        for seconds in (decision.requeue_after_seconds, wanted.again_seconds):
            if seconds is not None:  # before the actions: a limit passes while they are refused, too
                self._queue.add_later(key, seconds)
        try:
            for action in decision.actions:
                await self._carry_out(key, observed, action)
        except Conflict:
            await self._refresh(key, observed)
            self._queue.add(key)
        self._notifier.offer(key, cache.get(Kind.VIDEO_JOBS, key))

    async def _carry_out(self, key: Key, observed: Observed, action: Action) -> None:
        learn, named = self._context.learn, log_fields(key, observed.uid)
        match action:
            case CreateJob(job, again):
                if again:
                    await self._refresh(key, observed)
                    await self._lists.take_in_pods_of(key)
                    self._require_unchanged(key, observed)
                await self._create(key, observed, job)
            case DeleteJob(uid):
                await self._delete(Kind.JOBS, key, uid, observed.job)
                log.info("Job deleted", extra=named)
            case EndJob(uid):
                learn(Kind.JOBS, await self._client.end_job(key, uid, ENDING_SECONDS))
                log.info("Job ended", extra=named)
            case FailPod(name, uid):
                failed = failed_by_us(self._context.clock())
                learn(Kind.PODS, await self._client.fail_pod(key.namespace, name, uid, failed))
                log.info("pod declared failed", extra=named | {"pod": name})
            case DeleteVideoJob(uid):
                await self._delete(Kind.VIDEO_JOBS, key, uid, observed.video_job)
                log.info("VideoJob deleted after its time to live", extra=named)
            case SuspendJob(uid, suspend):
                learn(Kind.JOBS, await self._client.suspend_job(key, uid, suspend=suspend))
            case SetStatus(fields, look_at_pods):
                if look_at_pods:
                    await self._lists.take_in_pods_of(key)
                    self._require_unchanged(key, observed)
                await self._set_status(key, observed, fields)

    def _require_unchanged(self, key: Key, observed: Observed) -> None:
        if self._context.cache.observe(key) != observed:
            raise Conflict("a fresh look shows something else")

    async def _create(self, key: Key, observed: Observed, job: Manifest) -> None:
        try:
            self._context.learn(Kind.JOBS, await self._client.create_job(job))
            log.info("Job created", extra=log_fields(key, observed.uid))
        except Refused as refusal:
            await self._report_rejection(key, observed, refusal.message)
            raise

    async def _delete(self, kind: Kind, key: Key, uid: str, known: Manifest | None) -> None:
        held = None
        with contextlib.suppress(Conflict):  # gone already
            held = await self._client.delete(kind, key, uid)
        if held:
            self._context.learn(kind, held)
        elif known:
            self._context.forget(kind, known)

    async def _report_rejection(self, key: Key, observed: Observed, message: str) -> None:
        """Show the cluster's own words; the back-off of the queue tries again."""
        summary = Summary(Phase.PENDING, *why_refused(message, "the Job"))
        if summary.reason is Reason.QUOTA_EXCEEDED:
            self._context.turns.wait(key, (observed.video_job or {})["metadata"]["creationTimestamp"])
        fields = difference(derive_status(observed, summary, self._context.clock()), observed.status)
        if fields:
            await self._set_status(key, observed, fields)

    async def _set_status(self, key: Key, observed: Observed, fields: Manifest) -> None:
        try:
            patched = await self._client.patch_status(key, observed.video_job or {}, fields)
        except KubernetesUnavailable:
            if "phase" in fields:
                self._unanswered[key] = observed, fields
            raise
        self._unanswered.pop(key, None)
        self._context.learn(Kind.VIDEO_JOBS, patched)
        self._context.metrics.count(observed, fields)
        if "phase" in fields:
            await self._tell_of_phase(key, observed, patched)

    async def _make_up_for_lost_answer(self, key: Key, observed: Observed) -> None:
        """Count and tell of a change whose answer was lost, once it shows: nothing is written again for its sake."""
        if key not in self._unanswered:
            return
        before, fields = self._unanswered[key]
        is_same = observed.video_job is not None and observed.uid == before.uid
        if is_same and observed.phase != fields["phase"]:
            return  # not carried out, or not seen yet: the next try is answered, or meets a conflict
        del self._unanswered[key]
        if is_same and observed.video_job:
            self._context.metrics.count(before, fields)
            await self._tell_of_phase(key, before, observed.video_job)

    async def _tell_of_phase(self, key: Key, observed: Observed, patched: Manifest) -> None:
        """Log a change of phase and record an Event of it; being born is none, and costs no third write."""
        status = patched["status"]
        log.info("phase changed", extra=log_fields(key, observed.uid) | {k: status[k] for k in ("phase", "reason")})
        if observed.phase is None and status["reason"] == Reason.WAITING_FOR_POD:
            return
        with contextlib.suppress(OperatorError):  # an Event is a courtesy
            await self._client.post_event(key.namespace, phase_event(patched, self._context.clock()))

    async def _refresh(self, key: Key, observed: Observed) -> None:
        """Read VideoJob and Job afresh."""
        for kind, known in ((Kind.VIDEO_JOBS, observed.video_job), (Kind.JOBS, observed.job)):
            await self._context.read_again(kind, key, known)

    async def _resync(self) -> None:
        """Find what the watches may have missed."""
        while True:
            await asyncio.sleep(RESYNC_SECONDS)
            try:
                await self._lists.take_in_everything()
            except OperatorError as error:
                log.warning("cannot list; trying again later", extra={"error": str(error)})
