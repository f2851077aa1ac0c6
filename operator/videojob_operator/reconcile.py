"""Say what is to be done so that the cluster fits a VideoJob. Pure: no I/O, no clock, no randomness.

Every action verifies itself when it is carried out: a Job is created by name (409 = there already), deleted by uid,
and a status is patched against the resource version that was observed. So acting on an old observation is harmless,
and two operators at once are, too.

Catalogue and profiles are asked only where a Job is to be made. Once there is one, it says what is rendered: an
administrator who changes a model does not disturb what runs.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from videojob.errors import VideoJobError, violations
from videojob.phases import TERMINAL_PHASES, Phase
from videojob.reasons import Reason
from videojob.request import VideoJobRequest
from videojob.resolve import ResolvedRequest, resolve
from videojob_operator import limits
from videojob_operator.endings import hit_gpu_fault
from videojob_operator.evidence import NO_EVIDENCE, Evidence
from videojob_operator.job import Past, build_job, is_held, request_of
from videojob_operator.manifests import Manifest, is_deleting, moment, true_condition, uid_of
from videojob_operator.observed import Observed, has_ended
from videojob_operator.settings import Profile, Settings
from videojob_operator.status import HELD, Summary, avoided_nodes, derive_status, difference, failures, summarize

NAME_IN_USE_SECONDS = 5.0
NEW_SETTINGS_SECONDS = 5.0
SETTINGS_SECONDS = 180
"""How old a VideoJob gets before a model or profile that is not there counts as unknown: the API, or whoever wrote it,
may have the new settings before the operator, to whose pod the kubelet brings them within a minute or two."""
ENDING_SECONDS = 1
"""The activeDeadlineSeconds of a Job that we end."""

OWN_VERDICTS = frozenset(
    {Reason.START_DEADLINE_EXCEEDED, Reason.DEADLINE_EXCEEDED, Reason.TOO_MANY_INTERRUPTIONS, Reason.GPU_FAULT}
)
"""Why a VideoJob may have failed while its Job goes on: the Job must be stopped."""


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Create this Job.

    Attributes:
        again: there was a Job before. That it is gone, and its pods with it, must be seen with a fresh look at
            VideoJob, Job and pods: garbage collection takes Jobs of deleted VideoJobs away, and what we know of
            those may be old.
    """

    job: Manifest
    again: bool


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Delete the Job of this uid, its pods with it."""

    uid: str


@dataclass(frozen=True, slots=True)
class EndJob:
    """Let the Job of this uid fail: what runs is stopped, and the pods that have ended keep their logs."""

    uid: str


@dataclass(frozen=True, slots=True)
class FailPod:
    """Declare a pod failed whose node does not answer: its Job waits for its end and would wait forever."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class DeleteVideoJob:
    """Delete the VideoJob of this uid, its Job with it."""

    uid: str


@dataclass(frozen=True, slots=True)
class SuspendJob:
    """Suspend the Job of this uid, or let it go on."""

    uid: str
    suspend: bool


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Merge these fields into the status, if the VideoJob is still the one that was observed.

    Attributes:
        look_at_pods: the verdict is final and the last pod is not known to be over: see it first, for its last words.
    """

    fields: Manifest
    look_at_pods: bool = False


Action = CreateJob | DeleteJob | EndJob | SuspendJob | FailPod | SetStatus | DeleteVideoJob


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now, and when to look again without being called.

    Attributes:
        actions: in this order.
        requeue_after_seconds: None = only when something changes.
    """

    actions: tuple[Action, ...] = ()
    requeue_after_seconds: float | None = None


NOTHING = Decision()


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A request that can be rendered here."""

    resolved: ResolvedRequest
    profile: Profile


def reconcile(observed: Observed, settings: Settings, now: datetime, evidence: Evidence = NO_EVIDENCE) -> Decision:
    """Decide.

    Args:
        observed: the newest known state.
        settings: catalogue, profiles and the rest of the installation.
        now: the API server's time: for timestamps in the status, and for deadlines.
        evidence: what was looked up to explain why the job does not run; no action hangs on it but words.
    """
    video_job = observed.video_job
    if video_job is None or is_deleting(video_job):
        return NOTHING  # the owner reference takes Job and pods along
    if observed.phase in TERMINAL_PHASES:
        return _clean_up(observed, now)
    if video_job["spec"].get("cancel"):
        return _cancel(observed, now)
    job = observed.own_job()
    if job is None:
        return _begin(observed, video_job, settings, now)
    return _follow(observed, job, settings, now, evidence)


def _clean_up(observed: Observed, now: datetime) -> Decision:
    """Stop what still runs of a finished job, and delete it when its time to live is over.

    A Job that its TTL removed is never made again; one that outlived a cancellation or a verdict still holds its GPU.
    """
    cancelled, reason = observed.phase == Phase.CANCELLED, observed.status.get("reason")
    stop = _delete_job(observed) if cancelled else _stop_job(observed) if reason in OWN_VERDICTS else ()
    due = limits.deletion_due(observed)
    if due is None:
        return Decision(stop)
    if now >= due:
        return Decision((DeleteVideoJob(observed.uid),))
    return Decision(stop, (due - now).total_seconds())


def _cancel(observed: Observed, now: datetime) -> Decision:
    stands = summarize(observed)
    if stands.phase is Phase.SUCCEEDED:
        return Decision(_set_status(observed, stands, now))  # too late: the video is there
    summary = Summary(Phase.CANCELLED, Reason.CANCELLED, "cancelled by spec.cancel")
    return Decision((*_delete_job(observed), *_set_status(observed, summary, now)))


def _delete_job(observed: Observed) -> tuple[Action, ...]:
    job = observed.own_job()
    return (DeleteJob(uid_of(job)),) if job and not is_deleting(job) else ()


def _stop_job(observed: Observed) -> tuple[Action, ...]:
    """End a Job that goes on: one whose pods have said something keeps them for their logs, any other is deleted."""
    job = observed.own_job()
    if job is None or _is_over(job):
        return ()
    has_logs = any(has_ended(pod) for pod in observed.own_pods()) and not job["spec"].get("suspend")
    return (EndJob(uid_of(job)),) if has_logs else _delete_job(observed)


def _is_over(job: Manifest) -> bool:
    """Tell whether a Job has ended, or is about to."""
    ending = job["spec"].get("activeDeadlineSeconds") == ENDING_SECONDS
    return ending or any(true_condition(job, kind) for kind in ("Failed", "Complete", "FailureTarget"))


def _follow(observed: Observed, job: Manifest, settings: Settings, now: datetime, evidence: Evidence) -> Decision:
    """Show how the Job fares, and put right what Kubernetes does not."""
    summary = _judge(observed, summarize(observed, evidence), now)
    told = _set_status(observed, summary, now, request_of(job))
    if summary.phase in TERMINAL_PHASES:
        return Decision((*told, *(_stop_job(observed) if summary.reason in OWN_VERDICTS else ())))
    if lost := limits.lost_pod(observed, now):
        remedy = (FailPod(lost["metadata"]["name"], uid_of(lost)),) if settings.fail_lost_pods else ()
        return Decision((*told, *remedy))
    if _must_go(observed, job):
        return Decision((*told, *_delete_job(observed)))
    return Decision((*told, *_suspension(observed, job)), _seconds_to_next_limit(observed, summary, now))


def _judge(observed: Observed, summary: Summary, now: datetime) -> Summary:
    """What Kubernetes has not decided may have passed one of our limits."""
    if summary.phase in TERMINAL_PHASES:
        return summary
    if lost := limits.lost_pod(observed, now):
        summary = Summary(Phase.PENDING, *limits.describe_lost(lost))
    return limits.verdict(observed, summary, now) or summary


def _must_go(observed: Observed, job: Manifest) -> bool:
    """Tell whether the Job must make room for one that keeps away from a node whose GPU failed, or for none.

    A Job cannot be told to avoid a node once it has begun, but on the newest clusters: another takes its place. A Job
    in a queue is not suspended by us: the queue would resume it.
    """
    if _is_over(job):
        return False
    if observed.wants_suspension() and observed.is_queued():
        return True
    pod = observed.current_pod()
    return pod is not None and hit_gpu_fault(pod) and _may_retry(observed)


def _may_retry(observed: Observed) -> bool:
    limit: int = (observed.video_job or {})["spec"]["backoffLimit"]
    return failures(observed) <= limit


def _seconds_to_next_limit(observed: Observed, summary: Summary, now: datetime) -> float | None:
    limit = (
        limits.start_due(observed),
        limits.lost_due(observed),
        limits.former_due(observed),
        limits.nowhere_due(observed, summary),
    )
    dues = [due for due in limit if due and due > now]
    return min((due - now).total_seconds() for due in dues) if dues else None


def _begin(observed: Observed, video_job: Manifest, settings: Settings, now: datetime) -> Decision:
    """Make the Job, or say why not."""
    summary = _judge(observed, summarize(observed), now)
    if summary.phase in TERMINAL_PHASES:
        return Decision(_set_status(observed, summary, now))
    accepted = _accept(video_job, settings)
    if isinstance(accepted, Summary):
        return _refuse(observed, accepted, now)
    waits = _seconds_to_next_limit(observed, summary, now)
    if why_not := _why_not_yet(observed, accepted.profile, now):
        soon = min(NAME_IN_USE_SECONDS, waits or NAME_IN_USE_SECONDS) if observed.foreign_job() else waits
        return Decision(_set_status(observed, why_not, now), soon)
    past = Past(failures(observed), tuple(avoided_nodes(observed)))
    job = build_job(video_job, accepted.resolved, accepted.profile, settings, past)
    create = CreateJob(job, again="jobName" in observed.status)
    return Decision((create, *_set_status(observed, summary, now, accepted.resolved)), waits)


def _refuse(observed: Observed, refusal: Summary, now: datetime) -> Decision:
    """Fail a VideoJob that can never be rendered here; let one wait that may be if the settings are just changing."""
    created = moment((observed.video_job or {})["metadata"]["creationTimestamp"])
    is_young = now < created + timedelta(seconds=SETTINGS_SECONDS)
    if refusal.reason is Reason.INVALID_REQUEST or not is_young:
        return Decision(_set_status(observed, refusal, now))
    hint = f"if it was just added it is on its way; {SETTINGS_SECONDS} s after the creation the job fails"
    waiting = Summary(Phase.PENDING, refusal.reason, refusal.message, hint)
    return Decision(_set_status(observed, waiting, now), NEW_SETTINGS_SECONDS)


def _why_not_yet(observed: Observed, profile: Profile, now: datetime) -> Summary | None:
    """Say what an accepted VideoJob without a Job waits for, or why it is given up; None where it can begin."""
    if observed.foreign_job():
        message = "a Job of this name belongs to something else; waiting for it to go"
        return Summary(Phase.PENDING, Reason.NAME_IN_USE, message, "delete that Job, or choose another name")
    if observed.wants_suspension() and (observed.is_queued() or "jobName" in observed.status):
        return HELD  # the next one might be queued as the last one was, though the VideoJob has no label
    if gave_up := limits.too_many_interruptions(observed, profile.max_interruptions):
        return gave_up
    former = limits.former_pod(observed, now)
    return Summary(Phase.PENDING, *limits.describe_former(former)) if former else None


def _accept(video_job: Manifest, settings: Settings) -> _Accepted | Summary:
    """Resolve the request, or say why it can never be rendered here."""
    spec = video_job["spec"]
    try:
        resolved = resolve(VideoJobRequest.model_validate(spec["request"]), settings.catalogue)
    except VideoJobError as error:
        hint = "" if error.nearest is None else f"; nearest legal value: {error.nearest}"
        return Summary(Phase.FAILED, error.reason, f"spec.request.{error.field} {error.message}{hint}")
    except ValidationError as error:  # an object from before a rule was added
        first = violations(error)[0]
        return Summary(Phase.FAILED, Reason.INVALID_REQUEST, f"spec.request.{first.field} {first.message}")
    profile = settings.profiles.get(spec.get("profile", "default"))
    if profile is None:
        known = ", ".join(sorted(settings.profiles))
        message = f"spec.profile {spec['profile']!r} is not one of this installation's: {known}"
        return Summary(Phase.FAILED, Reason.UNKNOWN_PROFILE, message)
    return _Accepted(resolved, profile)


def _suspension(observed: Observed, job: Manifest) -> list[Action]:
    """Suspend or resume the Job as the spec says. A Job in a queue is suspended and resumed by the queue alone.

    One that others suspended goes on when they let it; where the user wants to hold it as well, that is noted on it.
    """
    wanted = observed.wants_suspension()
    if wanted == is_held(job) or is_deleting(job) or observed.is_queued():
        return []
    return [SuspendJob(uid_of(job), wanted)]


def _set_status(
    observed: Observed, summary: Summary, now: datetime, request: ResolvedRequest | None = None
) -> tuple[Action, ...]:
    resolved = request.values_for_status() if request else None
    patch = difference(derive_status(observed, summary, now, resolved=resolved), observed.status)
    if not patch:
        return ()
    unseen = summary.phase is Phase.FAILED and observed.own_job() is not None and not observed.last_pod_has_ended()
    return (SetStatus(patch, look_at_pods=unseen),)
