"""What is looked up about a job that does not run, and when: the objects that are watched do not say everything.

Events tell why a Job gets no pod (quota, Pod Security) and why a pod gets no volume; Nodes tell how many GPUs there
are; Kueue's Workload tells what a queued Job waits for. None is watched: ten thousand jobs would cost as many Events.
"""

from dataclasses import dataclass
from datetime import datetime

from videojob.phases import TERMINAL_PHASES
from videojob_operator.images import IMAGE_REASONS, tells_cause
from videojob_operator.job import GPU, QUEUE_LABEL
from videojob_operator.manifests import Manifest, is_deleting, moment, true_condition
from videojob_operator.nodes import Node
from videojob_operator.observed import Observed, has_ended, waiting

PATIENCE_SECONDS = 5.0
"""A Job gets its pod, and a pod its volumes, within this time where all is well."""

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 5.0, 300.0
_CREATING = {"ContainerCreating", "PodInitializing", ""}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found.

    Attributes:
        events: Warnings about the pod, or about the Job while it has no pod; oldest first.
        workload: Kueue's object of the Job.
        nodes: all nodes; None where they may not be read.
    """

    events: tuple[Manifest, ...] = ()
    workload: Manifest | None = None
    nodes: tuple[Node, ...] | None = None


NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look up for a job.

    Attributes:
        events_of: uid of the object whose Events are wanted.
        workload_of: uid of the Job whose Workload is wanted.
        nodes: whether the nodes are.
        again_seconds: when to look again, because what is looked up tells nobody of its changes.
    """

    events_of: str | None = None
    workload_of: str | None = None
    nodes: bool = False
    again_seconds: float | None = None


NOTHING_WANTED = Wanted()


def wanted_evidence(observed: Observed, now: datetime) -> Wanted:
    """Say what to look up before deciding.

    Args:
        observed: what is known.
        now: the API server's time.
    """
    video_job = observed.video_job
    if video_job is None or is_deleting(video_job) or observed.phase in TERMINAL_PHASES:
        return NOTHING_WANTED
    job = observed.own_job()
    if job is None or is_deleting(job) or true_condition(job, "Failed") or true_condition(job, "Complete"):
        return NOTHING_WANTED
    pod = observed.current_pod()
    if job["spec"].get("suspend"):
        return _for_suspended(job, now)
    if pod is None:
        return _events(job, now)
    return NOTHING_WANTED if has_ended(pod) or is_deleting(pod) else _for_pod(pod, now)


def _for_suspended(job: Manifest, now: datetime) -> Wanted:
    if QUEUE_LABEL not in job["metadata"].get("labels", {}):
        return NOTHING_WANTED
    return Wanted(workload_of=job["metadata"]["uid"], again_seconds=_pause_seconds(_age_seconds(job, now)))


def _for_pod(pod: Manifest, now: datetime) -> Wanted:
    if not pod["spec"].get("nodeName"):
        unscheduled = any(
            each["type"] == "PodScheduled" and each["status"] == "False" and _is_about_nodes(each.get("message", ""))
            for each in pod.get("status", {}).get("conditions") or []
        )
        return Wanted(nodes=True) if unscheduled else NOTHING_WANTED  # the scheduler tells of changes in the pod
    if pod.get("status", {}).get("phase", "Pending") != "Pending":
        return NOTHING_WANTED
    state = waiting(pod) or {}
    reason, message = state.get("reason", ""), state.get("message", "")
    unclear = (reason in _CREATING and not message) or (reason in IMAGE_REASONS and not tells_cause(message))
    return _events(pod, now) if unclear else NOTHING_WANTED


def _is_about_nodes(message: str) -> bool:
    return GPU in message or "affinity" in message or "taint" in message


def _events(manifest: Manifest, now: datetime) -> Wanted:
    age_seconds = _age_seconds(manifest, now)
    if age_seconds < PATIENCE_SECONDS:
        return Wanted(again_seconds=PATIENCE_SECONDS - age_seconds)
    return Wanted(events_of=manifest["metadata"]["uid"], again_seconds=_pause_seconds(age_seconds))


def _age_seconds(manifest: Manifest, now: datetime) -> float:
    return max(0.0, (now - moment(manifest["metadata"]["creationTimestamp"])).total_seconds())


def _pause_seconds(age_seconds: float) -> float:
    """What has lasted for long will last a while longer: ten thousand waiting jobs must not keep the operator busy."""
    return min(_LONGEST_PAUSE_SECONDS, max(_FIRST_PAUSE_SECONDS, age_seconds / 2))
