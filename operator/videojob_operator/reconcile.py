"""Say what is to be done so that the cluster fits a VideoJob. Pure: no I/O, no clock, no randomness.

Every action verifies itself when it is carried out: a Job is created by name (409 = there already), deleted by uid,
and a status is patched against the resource version that was observed. So acting on an old observation is harmless,
and two operators at once are, too.

Catalogue and profiles are asked only where a Job is to be made. Once there is one, it says what is rendered: an
administrator who changes a model does not disturb what runs.
"""

from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from videojob.errors import VideoJobError, violations
from videojob.phases import TERMINAL_PHASES, Phase
from videojob.reasons import Reason
from videojob.request import VideoJobRequest
from videojob.resolve import ResolvedRequest, resolve
from videojob_operator.job import KUEUE_PREFIX, build_job, request_of
from videojob_operator.manifests import Manifest, is_deleting, uid_of
from videojob_operator.observed import Observed
from videojob_operator.settings import Profile, Settings
from videojob_operator.status import Summary, derive_status, difference, summarize

QUEUE_LABEL = f"{KUEUE_PREFIX}queue-name"
NAME_IN_USE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Create this Job.

    Attributes:
        again: there was a Job before. That it is gone must be seen with a fresh look at Job and VideoJob: garbage
            collection takes Jobs of deleted VideoJobs away, and what we know of those may be old.
    """

    job: Manifest
    again: bool


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Delete the Job of this uid, its pods with it."""

    uid: str


@dataclass(frozen=True, slots=True)
class SuspendJob:
    """Suspend the Job, or let it go on."""

    suspend: bool


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Merge these fields into the status, if the VideoJob is still the one that was observed.

    Attributes:
        look_at_pods: the verdict is final and the last pod is not known to be over: see it first, for its last words.
    """

    fields: Manifest
    look_at_pods: bool = False


Action = CreateJob | DeleteJob | SuspendJob | SetStatus


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


def reconcile(observed: Observed, settings: Settings, now: datetime) -> Decision:
    """Decide.

    Args:
        observed: the newest known state.
        settings: catalogue, profiles and the rest of the installation.
        now: for timestamps in the status only; no decision hangs on it.
    """
    video_job = observed.video_job
    if video_job is None or is_deleting(video_job):
        return NOTHING  # the owner reference takes Job and pods along
    if observed.phase in TERMINAL_PHASES:
        # A Job that its TTL removed is never made again; one that outlived a cancellation still holds its GPU.
        return Decision(_delete_job(observed)) if observed.phase == Phase.CANCELLED else NOTHING
    if video_job["spec"].get("cancel"):
        return _cancel(observed, now)
    job = observed.own_job()
    return _follow(observed, job, now) if job else _begin(observed, video_job, settings, now)


def _cancel(observed: Observed, now: datetime) -> Decision:
    if observed.finished_pod():
        return Decision(_set_status(observed, summarize(observed), now))  # too late: the video is there
    summary = Summary(Phase.CANCELLED, Reason.CANCELLED, "cancelled by spec.cancel")
    return Decision((*_delete_job(observed), *_set_status(observed, summary, now)))


def _delete_job(observed: Observed) -> tuple[Action, ...]:
    job = observed.own_job()
    return (DeleteJob(uid_of(job)),) if job and not is_deleting(job) else ()


def _follow(observed: Observed, job: Manifest, now: datetime) -> Decision:
    """Show how the Job fares."""
    summary, request = summarize(observed), request_of(job)
    told = _set_status(observed, summary, now, request)
    return Decision(told if summary.phase in TERMINAL_PHASES else (*told, *_suspension(observed, job)))


def _begin(observed: Observed, video_job: Manifest, settings: Settings, now: datetime) -> Decision:
    """Make the Job, or say why not."""
    summary = summarize(observed)
    if summary.phase in TERMINAL_PHASES:
        return Decision(_set_status(observed, summary, now))
    accepted = _accept(video_job, settings)
    if isinstance(accepted, Summary):
        return Decision(_set_status(observed, accepted, now))
    if observed.foreign_job():
        message = "a Job of this name belongs to something else; waiting for it to go"
        summary = Summary(Phase.PENDING, Reason.NAME_IN_USE, message)
        return Decision(_set_status(observed, summary, now), NAME_IN_USE_SECONDS)
    job = build_job(video_job, accepted.resolved, accepted.profile, settings)
    create = CreateJob(job, again="jobName" in observed.status)
    return Decision((create, *_set_status(observed, summary, now, accepted.resolved)))


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
    """Suspend or resume the Job as the spec says. A Job in a queue is resumed by the queue alone."""
    video_job: Manifest = observed.video_job or {}
    meta, spec = video_job["metadata"], video_job["spec"]
    wanted, suspended = bool(spec.get("suspend")), bool(job["spec"].get("suspend"))
    if wanted == suspended or is_deleting(job):
        return []
    if not wanted and QUEUE_LABEL in meta.get("labels", {}):
        return []
    return [SuspendJob(wanted)]


def _set_status(
    observed: Observed, summary: Summary, now: datetime, request: ResolvedRequest | None = None
) -> tuple[Action, ...]:
    resolved = request.values_for_status() if request else None
    patch = difference(derive_status(observed, summary, now, resolved=resolved), observed.status)
    if not patch:
        return ()
    unseen = summary.phase is Phase.FAILED and observed.own_job() is not None and not observed.last_pod_has_ended()
    return (SetStatus(patch, look_at_pods=unseen),)
