"""Say what is to be done so that the cluster fits a VideoJob. Pure: no I/O, no clock, no randomness.

Every action verifies itself when it is carried out: a Job is created by name (409 = there already), deleted by uid,
and a status is patched against the resource version that was observed. So acting on an old observation is harmless,
and two operators at once are, too.
"""

from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from videojob.errors import VideoJobError, violations
from videojob.phases import TERMINAL_PHASES, Phase
from videojob.reasons import Reason
from videojob.request import VideoJobRequest
from videojob.resolve import ResolvedRequest, resolve
from videojob_operator.job import KUEUE_PREFIX, build_job
from videojob_operator.manifests import Manifest, is_deleting
from videojob_operator.observed import Observed
from videojob_operator.settings import Profile, Settings
from videojob_operator.status import Summary, derive_status, difference, summarize

QUEUE_LABEL = f"{KUEUE_PREFIX}queue-name"
NAME_IN_USE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Create this Job; one that exists counts as created."""

    job: Manifest


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
    """Merge these fields into the status, if the VideoJob is still the one that was observed."""

    fields: Manifest


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
    if observed.status.get("phase") in TERMINAL_PHASES:
        return NOTHING  # a Job that its TTL removed is never made again
    if video_job["spec"].get("cancel"):
        return _cancel(observed, now)
    accepted = _accept(video_job, settings)
    if isinstance(accepted, Summary):
        return _set_status(observed, accepted, now)
    return _drive(observed, accepted, settings, now)


def _cancel(observed: Observed, now: datetime) -> Decision:
    if observed.finished_pod():
        return _set_status(observed, summarize(observed), now)  # too late: the video is there
    job = observed.own_job()
    delete = (DeleteJob(job["metadata"]["uid"]),) if job and not is_deleting(job) else ()
    summary = Summary(Phase.CANCELLED, Reason.CANCELLED, "cancelled by spec.cancel")
    return Decision((*delete, *_set_status(observed, summary, now).actions))


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


def _drive(observed: Observed, accepted: _Accepted, settings: Settings, now: datetime) -> Decision:
    """Bring an accepted VideoJob forward."""
    resolved = accepted.resolved.values_for_status()
    if observed.job is not None and observed.own_job() is None:
        message = "a Job of this name belongs to something else; waiting for it to go"
        summary = Summary(Phase.PENDING, Reason.NAME_IN_USE, message)
        return Decision(_set_status(observed, summary, now, resolved).actions, NAME_IN_USE_SECONDS)
    summary = summarize(observed)
    actions = list(_set_status(observed, summary, now, resolved).actions)
    if summary.phase not in TERMINAL_PHASES:
        job = observed.own_job()
        if job is None:
            wanted = build_job(observed.video_job or {}, accepted.resolved, accepted.profile, settings)
            actions.insert(0, CreateJob(wanted))
        else:
            actions += _suspension(observed, job)
    return Decision(tuple(actions))


def _suspension(observed: Observed, job: Manifest) -> list[Action]:
    """Suspend or resume the Job as the spec says. A Job in a queue is resumed by the queue alone."""
    meta, spec = (observed.video_job or {})["metadata"], (observed.video_job or {})["spec"]
    wanted, suspended = bool(spec.get("suspend")), bool(job["spec"].get("suspend"))
    if wanted == suspended or is_deleting(job):
        return []
    if not wanted and QUEUE_LABEL in meta.get("labels", {}):
        return []
    return [SuspendJob(wanted)]


def _set_status(
    observed: Observed, summary: Summary, now: datetime, resolved: dict[str, object] | None = None
) -> Decision:
    patch = difference(derive_status(observed, summary, now, resolved=resolved), observed.status)
    return Decision((SetStatus(patch),) if patch else ())
