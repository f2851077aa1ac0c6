"""How long and how often: the limits that Kubernetes does not keep for a job, and when each is due.

All moments are compared with timestamps that the API server wrote, by its own clock. What has a time of its own is
looked at again at that time; after a restart the same timestamps give the same moments.
"""

from datetime import datetime, timedelta

from videojob.conditions import ConditionStatus
from videojob.phases import Phase
from videojob.reasons import Reason
from videojob_operator.diagnosis import Diagnosis
from videojob_operator.endings import was_interrupted
from videojob_operator.job import MAX_INTERRUPTIONS, number_of
from videojob_operator.manifests import Manifest, is_deleting, moment, timestamp, true_condition
from videojob_operator.nodes import nodes_avoided
from videojob_operator.observed import Observed, ended_at, has_ended, has_started
from videojob_operator.scheduling import speaks_of_taints
from videojob_operator.settings import Profile
from videojob_operator.status import Summary, failures, forgiven_interruptions
from videojob_operator.webhook import notified

LOST_SECONDS = 120
"""A pod that has not ended this long after its grace period never will: its node does not answer."""

TAINTED_SECONDS = 600
"""A taint may go by itself within this time: of a node that starts anew, or is short of memory."""

LONGEST_NOTIFICATION = timedelta(hours=25)
"""A VideoJob is not deleted before its webhook was told, or given up, which takes a day at most."""

_ANY_PROFILE = Profile()


def verdict(observed: Observed, summary: Summary, now: datetime) -> Summary | None:
    """Say why a job must be given up that goes on as far as Kubernetes is concerned; None where it need not.

    Args:
        observed: what was found.
        summary: where it stands.
        now: the API server's time.
    """
    due = start_due(observed)
    if due and now >= due:
        limit = _spec(observed)["startDeadlineSeconds"]
        message = f"no pod ran within startDeadlineSeconds ({limit}): {summary.message}"
        return Summary(Phase.FAILED, Reason.START_DEADLINE_EXCEEDED, message, summary.hint)
    pod = observed.current_pod()
    job = observed.own_job()
    if pod and job and was_interrupted(pod):
        return too_many_interruptions(observed, number_of(job, MAX_INTERRUPTIONS, _ANY_PROFILE.max_interruptions))
    gives_up = nowhere_due(observed, summary)
    if gives_up and now >= gives_up:
        return Summary(Phase.FAILED, Reason.GPU_FAULT, summary.message, _GPU_HINT)
    return None


_GPU_HINT = "ask the node's dmesg for Xid errors; a driver older than the image's CUDA is the usual cause"


def too_many_interruptions(observed: Observed, allowed: int) -> Summary | None:
    """Give up a job that was stopped from outside too often: nothing else bounds what the Job does not count."""
    count = observed.attempts() - failures(observed) - forgiven_interruptions(observed)
    if count <= allowed or observed.wants_suspension():
        return None
    message = f"stopped from outside {count} times, and the profile allows {allowed}"
    hint = "raise maxInterruptions of the profile, or use nodes that are not taken away so often"
    return Summary(Phase.FAILED, Reason.TOO_MANY_INTERRUPTIONS, message, hint)


def nowhere_due(observed: Observed, summary: Summary) -> datetime | None:
    """Return when a pod is given up that finds no node but those whose GPU failed; None where it is not such a pod."""
    pod = observed.current_pod()
    if pod is None or summary.reason is not Reason.NO_MATCHING_NODE or not nodes_avoided(pod):
        return None
    patience_seconds = TAINTED_SECONDS if speaks_of_taints(summary.message) else 0
    return moment(pod["metadata"]["creationTimestamp"]) + timedelta(seconds=patience_seconds)


def start_due(observed: Observed) -> datetime | None:
    """Return when startDeadlineSeconds pass; None where there are none, the job is held, or a pod has run."""
    spec, pod = _spec(observed), observed.current_pod()
    if "startDeadlineSeconds" not in spec or spec.get("suspend") or (pod and has_started(pod)):
        return None
    if observed.attempts() > (1 if pod and pod["spec"].get("nodeName") else 0):
        return None  # an earlier pod was there; this one follows it
    since = _waits_since(observed)
    return since and since + timedelta(seconds=spec["startDeadlineSeconds"])


def _waits_since(observed: Observed) -> datetime | None:
    """Since when the job could have had a pod; None where a suspension ends only now.

    The Job controller sets startTime anew when it sees that a Job goes on, and takes back the condition Suspended with
    that. A job that was held in a queue has no Job until this look makes it.
    """
    job = observed.own_job()
    if job is None:
        created: str = (observed.video_job or {})["metadata"]["creationTimestamp"]
        return None if observed.phase == Phase.QUEUED else moment(created)
    is_held = bool(job["spec"].get("suspend")) or true_condition(job, "Suspended") is not None
    if is_held and not observed.is_queued():
        return None
    return moment((job.get("status") or {}).get("startTime") or job["metadata"]["creationTimestamp"])


def lost_pod(observed: Observed, now: datetime) -> Manifest | None:
    """Return the pod that should have ended long ago, None where there is none."""
    due = lost_due(observed)
    return observed.current_pod() if due and now >= due else None


def lost_due(observed: Observed) -> datetime | None:
    """Return when a pod that is being deleted counts as lost."""
    pod = observed.current_pod()
    return None if pod is None or not pod["spec"].get("nodeName") else _lost_at(pod)


def former_pod(observed: Observed, now: datetime) -> Manifest | None:
    """Return a pod of a Job that is gone, which the next one must wait for; None where there is none.

    One on a node that does not answer is not waited for: it cannot end, its token is dead, and its files lie apart.
    """
    return next((pod for pod in observed.former_pods() if (due := _lost_at(pod)) is None or now < due), None)


def former_due(observed: Observed) -> datetime | None:
    """Return when the first pod of a Job that is gone counts as lost."""
    return min(filter(None, map(_lost_at, observed.former_pods())), default=None)


def _lost_at(pod: Manifest) -> datetime | None:
    """When a pod counts as lost, None for one that has ended or need not end."""
    if not is_deleting(pod) or has_ended(pod):
        return None
    return moment(pod["metadata"]["deletionTimestamp"]) + timedelta(seconds=LOST_SECONDS)


def describe_former(pod: Manifest) -> Diagnosis:
    """Say what a job waits for whose Job was deleted."""
    name = pod["metadata"]["name"]
    hint = "" if is_deleting(pod) else f"it goes on by itself; to begin anew at once: kubectl delete pod {name}"
    return Diagnosis(Reason.RETRYING, f"another pod follows once {name} has ended, whose Job is gone", hint)


def describe_lost(pod: Manifest) -> Diagnosis:
    """Say what is the matter with a lost pod."""
    node = pod["spec"]["nodeName"]
    hint = (
        f"if {node} is gone for good: kubectl delete node {node}, or taint it node.kubernetes.io/out-of-service;"
        " with operator.failLostPods its pod is declared failed without that"
    )
    return Diagnosis(Reason.NODE_LOST, f"node {node} does not answer, and its pod cannot end", hint)


def failed_by_us(now: datetime) -> Manifest:
    """Return the condition of a pod that is declared failed: the Job does not count it."""
    return {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "NodeLost",
        "message": "the node does not answer",
        "lastTransitionTime": timestamp(now),
    }


def deletion_due(observed: Observed) -> datetime | None:
    """Return when ttlSecondsAfterFinished pass; None where there are none."""
    seconds = _spec(observed).get("ttlSecondsAfterFinished")
    ended = ended_at(observed.video_job or {})
    if seconds is None or ended is None:
        return None
    due = ended + timedelta(seconds=seconds)
    return max(due, ended + LONGEST_NOTIFICATION) if _must_still_notify(observed) else due


def _must_still_notify(observed: Observed) -> bool:
    if "webhook" not in _spec(observed):
        return False
    said: str = notified(observed.video_job or {}).get("status", ConditionStatus.UNKNOWN)
    return said == ConditionStatus.UNKNOWN


def _spec(observed: Observed) -> Manifest:
    spec: Manifest = (observed.video_job or {})["spec"]
    return spec
