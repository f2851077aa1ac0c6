"""Why is this job not running? One reason of the stable catalogue, one sentence, and one hint what to do.

Pure: everything is told from the JSON of Pod, Job, Events, Nodes and Kueue's Workload. Pods and Jobs say most;
what they do not say is looked up where `evidence` says so, and is absent where the operator may not read it.
"""

from typing import NamedTuple

from videojob.reasons import Reason
from videojob_operator.evidence import NO_EVIDENCE, Evidence
from videojob_operator.images import CONFIG_REASONS, IMAGE_REASONS, why_no_image
from videojob_operator.manifests import Manifest, true_condition
from videojob_operator.observed import waiting
from videojob_operator.refusals import why_refused
from videojob_operator.scheduling import why_no_node

_STORAGE_HINT = "check storage.existingSecret and the env of the profile"
_VOLUME_HINT = "check the volumes of the profile: what they name must exist in the job's namespace"
_VOLUME_EVENTS = {"FailedMount", "FailedAttachVolume", "FailedMapVolume"}


class Diagnosis(NamedTuple):
    """A reason, a sentence, and what to do about it; no hint where there is nothing to do but wait."""

    reason: Reason
    message: str
    hint: str = ""


def diagnose(pod: Manifest | None, job: Manifest, evidence: Evidence = NO_EVIDENCE) -> Diagnosis | None:
    """Say why a job does not run.

    Args:
        pod: its newest pod; None where it has none.
        job: its Job.
        evidence: what was looked up.

    Returns:
        None where nothing is known to be wrong.
    """
    if job["spec"].get("suspend"):
        return why_suspended(job, evidence)
    if pod is None:
        return _why_no_pod(evidence)
    return why_not_running(pod, evidence)


def why_suspended(job: Manifest, evidence: Evidence) -> Diagnosis:
    """Say what a suspended Job waits for: Kueue's own words where there are any."""
    workload = evidence.workload or {}
    conditions: list[Manifest] = workload.get("status", {}).get("conditions") or []
    for kind in ("QuotaReserved", "Admitted", "Evicted"):
        said = next((each for each in conditions if each["type"] == kind and each.get("message")), None)
        if said and said["status"] == ("True" if kind == "Evicted" else "False"):
            return Diagnosis(Reason.SUSPENDED, f"waits in the cluster's queue: {said['message']}")
    suspended = true_condition(job, "Suspended") or {}
    message = suspended.get("message") or "the Job is suspended"
    return Diagnosis(Reason.SUSPENDED, f"waits in the cluster's queue: {message}")


def _why_no_pod(evidence: Evidence) -> Diagnosis | None:
    """The Job controller tells only in Events that it may not create a pod."""
    for event in reversed(evidence.events):
        if event["reason"] == "FailedCreate":
            message = event["message"].removeprefix("Error creating: ")
            return Diagnosis(*why_refused(message, "the pod"))
    return None


def why_not_running(pod: Manifest, evidence: Evidence = NO_EVIDENCE) -> Diagnosis | None:
    """Say why a pending pod does not run; None where nothing is wrong so far."""
    conditions: list[Manifest] = pod.get("status", {}).get("conditions") or []
    for condition in conditions:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return Diagnosis(*why_no_node(pod, condition.get("message", ""), evidence.nodes))
    state = waiting(pod) or {}
    reason, message = state.get("reason", ""), state.get("message", "")
    if reason in IMAGE_REASONS:
        return Diagnosis(*why_no_image(pod, message, evidence.events))
    if reason in CONFIG_REASONS:
        return Diagnosis(
            Reason.CONTAINER_CONFIG_ERROR, message or "something the pod refers to is missing", _STORAGE_HINT
        )
    return _why_no_volume(message, evidence)


def _why_no_volume(message: str, evidence: Evidence) -> Diagnosis | None:
    """A kubelet tells of volumes in Events only."""
    told = [event["message"] for event in evidence.events if event["reason"] in _VOLUME_EVENTS]
    text = message or (told[-1] if told else "")
    return Diagnosis(Reason.VOLUME_UNAVAILABLE, text, _VOLUME_HINT) if text else None
