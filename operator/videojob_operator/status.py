"""Derive the operator's part of a VideoJob's status from what was observed. Pure: the time is an argument.

The summary (phase, reason, message) follows from the objects alone, never from the phase that was written before;
only a terminal phase is final, and `reconcile` does not come here then.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from videojob.conditions import ConditionStatus, ConditionType
from videojob.exits import ExitCode
from videojob.phases import TERMINAL_PHASES, Phase, Stage
from videojob.reasons import Reason
from videojob_operator.diagnosis import Diagnosis, diagnose, why_not_running
from videojob_operator.endings import has_failed, hit_gpu_fault, overran, was_refused, why_ended
from videojob_operator.evidence import NO_EVIDENCE, Evidence
from videojob_operator.job import FAILURES_BEFORE, number_of
from videojob_operator.manifests import Manifest, timestamp, true_condition
from videojob_operator.observed import Observed, container_status, progress_of, termination

_MESSAGE_LENGTH = 1024
NO_NODE_YET = "waits for a pod on a node"
"""Said while all is well, before the Job has a pod as well as afterwards: another sentence would be another write."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Where a VideoJob stands, why, and what can be done about it."""

    phase: Phase
    reason: Reason
    message: str
    hint: str = ""


HELD = Summary(Phase.QUEUED, Reason.SUSPENDED, "spec.suspend is true")
"""The Job is suspended, or not made, because the user wants it so."""


REFUSALS = frozenset({Reason.INVALID_REQUEST, Reason.UNKNOWN_MODEL, Reason.UNKNOWN_PROFILE})


def summarize(observed: Observed, evidence: Evidence = NO_EVIDENCE) -> Summary:
    """Say where an accepted VideoJob stands.

    Args:
        observed: what was found.
        evidence: what was looked up besides.
    """
    job = observed.own_job()
    is_done = job is None or true_condition(job, "Complete") is not None
    if observed.finished_pod() or (is_done and observed.any_video()):
        # Its pod may be gone, and its Job: the recorded video decides, as rendering it again would help nobody.
        return Summary(Phase.SUCCEEDED, Reason.COMPLETED, "the video is in S3")
    if job is None:
        return Summary(Phase.PENDING, Reason.WAITING_FOR_POD, NO_NODE_YET)
    return _of_job(observed, job, evidence)


def _of_job(observed: Observed, job: Manifest, evidence: Evidence) -> Summary:
    if failed := true_condition(job, "Failed"):
        return _failed(observed, failed)
    if true_condition(job, "Complete"):
        return Summary(Phase.FAILED, Reason.ARTIFACT_MISSING, "the renderer ended well but recorded no video")
    pod = observed.current_pod()
    if job["spec"].get("suspend"):
        return HELD if observed.wants_suspension() else _waiting(Phase.QUEUED, job, evidence)
    if pod is None:
        return _waiting(Phase.PENDING, job, evidence)
    return _of_pod(observed.status, pod, evidence)


def _waiting(phase: Phase, job: Manifest, evidence: Evidence) -> Summary:
    """The Job has no pod, or is suspended."""
    why = diagnose(None, job, evidence)
    return Summary(phase, *why) if why else Summary(phase, Reason.WAITING_FOR_POD, NO_NODE_YET)


def _failed(observed: Observed, failed: Manifest) -> Summary:
    """The Job controller has given up: say why in the words of the last pod."""
    if failed.get("reason") == "DeadlineExceeded":
        return Summary(Phase.FAILED, Reason.DEADLINE_EXCEEDED, "the Job was ended by its activeDeadlineSeconds")
    ends = [why for pod in observed.own_pods() if (why := why_ended(pod))]
    given_up = failed.get("reason") == "BackoffLimitExceeded"
    if not ends:
        reason = Reason.BACKOFF_LIMIT_EXCEEDED if given_up else Reason.RENDERER_FAILED
        return Summary(Phase.FAILED, reason, failed.get("message") or "the Job failed, and no pod says why")
    reason, message, hint = ends[-1]
    if given_up:
        message = f"gave up after {max(len(ends), failures(observed))} failed pod(s): {message}"
        reason = Reason.BACKOFF_LIMIT_EXCEEDED if reason is Reason.RENDERER_FAILED else reason
    return Summary(Phase.FAILED, reason, message, hint)


def _of_pod(status: Manifest, pod: Manifest, evidence: Evidence) -> Summary:
    ended = termination(pod)
    if ended and ended["exitCode"] == ExitCode.OK:
        return Summary(Phase.UPLOADING, Reason.UPLOADING, "the renderer has ended; its last report is on its way")
    if why := why_ended(pod):
        if overran(pod) or was_refused(pod):
            return Summary(Phase.FAILED, *why)
        return Summary(Phase.PENDING, Reason.RETRYING, f"another pod follows: {why.message}", why.hint)
    if pod.get("status", {}).get("phase", "Pending") == "Pending":
        return _of_pending_pod(pod, evidence)
    return _of_running_pod(pod, progress_of(status, pod))


def _of_pending_pod(pod: Manifest, evidence: Evidence) -> Summary:
    why: Diagnosis | None = why_not_running(pod, evidence)
    has_node = bool(pod["spec"].get("nodeName"))
    if why:
        return Summary(Phase.STARTING if has_node else Phase.PENDING, *why)
    return _starting(pod) if has_node else Summary(Phase.PENDING, Reason.WAITING_FOR_POD, NO_NODE_YET)


def _starting(pod: Manifest) -> Summary:
    """Pulling the image and loading the model are one phase: `progress.stage` tells when the second begins."""
    return Summary(Phase.STARTING, Reason.STARTING, f"starts on node {pod['spec']['nodeName']}")


def _of_running_pod(pod: Manifest, progress: dict[str, Any]) -> Summary:
    stage = progress.get("stage", Stage.LOADING)
    if stage == Stage.LOADING:
        return _starting(pod)
    if stage == Stage.UPLOADING:
        return Summary(Phase.UPLOADING, Reason.UPLOADING, "the video goes to S3")
    return Summary(Phase.RUNNING, Reason.RENDERING, "the renderer is at work")


def derive_status(
    observed: Observed, summary: Summary, now: datetime, *, resolved: dict[str, Any] | None = None
) -> Manifest:
    """Return all status fields that are the operator's, and the artifacts that a renderer could not record.

    Args:
        observed: what was found.
        summary: where the VideoJob stands.
        now: for conditions that change and for a completion without a pod.
        resolved: what the Job renders; None where there is no Job, or it does not say.
    """
    video_job = observed.video_job or {}
    old, pod = observed.status, observed.current_pod()
    derived: Manifest = {
        "observedGeneration": video_job["metadata"]["generation"],
        "phase": summary.phase.value,
        "reason": summary.reason.value,
        "message": summary.message[:_MESSAGE_LENGTH],
        "conditions": _conditions(observed, summary, now),
        "queuedTime": old.get("queuedTime") or video_job["metadata"]["creationTimestamp"],
        "attempts": old.get("attempts", 0),
    }
    if resolved is not None:
        derived |= {"resolved": resolved, "jobName": video_job["metadata"]["name"]}
    if pod and pod["spec"].get("nodeName"):
        derived |= _of_attempt(observed, pod)
    if summary.hint or "hint" in old:
        derived["hint"] = summary.hint[:_MESSAGE_LENGTH] or None
    if failed := failures(observed):
        derived["failures"] = failed
    if forgiven := forgiven_interruptions(observed):
        derived["forgivenInterruptions"] = forgiven
    if avoided := avoided_nodes(observed):
        derived["avoidedNodes"] = avoided
    if summary.phase in TERMINAL_PHASES:
        derived["completionTime"] = _completion_time(observed, now)
    if summary.phase is Phase.SUCCEEDED and (artifacts := _unrecorded(observed)):
        derived["artifacts"] = artifacts
    return derived


def _unrecorded(observed: Observed) -> Manifest | None:
    """The artifacts that only the last words of the finished pod name; those of another attempt go."""
    pod = observed.finished_pod()
    if pod is None or observed.video_of(pod["metadata"]["name"]):
        return None
    return dict.fromkeys(observed.status.get("artifacts", {})) | (observed.left_by(pod) or {})


def failures(observed: Observed) -> int:
    """Count the pods that failed, those of earlier Jobs included.

    The Job controller counts a second later than the pod fails, and a Job that was replaced takes its count along.
    """
    recorded: int = observed.status.get("failures", 0)
    job = observed.own_job()
    if job is None:
        return recorded
    seen = sum(has_failed(pod) for pod in observed.own_pods())
    counted: int = job.get("status", {}).get("failed", 0)
    return max(recorded, number_of(job, FAILURES_BEFORE) + max(seen, counted))


def forgiven_interruptions(observed: Observed) -> int:
    """Count the interruptions that do not count any more: a user who suspends the job begins the count anew.

    The pod that the suspension stops ends like one that was stopped from outside, and cannot be told from it later.
    """
    recorded: int = observed.status.get("forgivenInterruptions", 0)
    job = observed.own_job()
    to_be_resumed = job is not None and bool(job["spec"].get("suspend")) and not observed.is_queued()
    if not observed.wants_suspension() and not to_be_resumed:
        return recorded
    return max(recorded, observed.attempts() - failures(observed))


def avoided_nodes(observed: Observed) -> list[str]:
    """Return the nodes whose GPU failed under this VideoJob, in the order in which they did."""
    seen = [pod["spec"]["nodeName"] for pod in observed.own_pods() if hit_gpu_fault(pod)]
    return list(dict.fromkeys([*observed.status.get("avoidedNodes", []), *seen]))


def _of_attempt(observed: Observed, pod: Manifest) -> Manifest:
    """Name the newest attempt, and count it with those that came and went unseen."""
    old, name = observed.status, pod["metadata"]["name"]
    new = observed.attempts_since(old.get("podName"))
    if not new and old.get("podName") != name:
        return {}
    fields = {"podName": name, "nodeName": pod["spec"]["nodeName"], "attempts": old.get("attempts", 0) + new}
    started = old.get("startTime") or _got_node_at(pod)
    return fields | ({"startTime": started} if started else {})


def _got_node_at(pod: Manifest) -> str | None:
    """When the pod got its node, as the scheduler says with it; its kubelet says so later, which would be a write."""
    scheduled = true_condition(pod, "PodScheduled") or {}
    told: str | None = scheduled.get("lastTransitionTime") or pod.get("status", {}).get("startTime")
    return told


def _completion_time(observed: Observed, now: datetime) -> str:
    pod = observed.finished_pod()
    ended = termination(pod) if pod else None
    return (ended or {}).get("finishedAt") or timestamp(now)


def _conditions(observed: Observed, summary: Summary, now: datetime) -> list[Manifest]:
    """All conditions, in the order of a job's life; one that has not changed keeps its time."""
    old = {condition["type"]: condition for condition in observed.status.get("conditions") or []}
    generation = (observed.video_job or {})["metadata"]["generation"]
    conditions = []
    for kind, (status, reason, message) in _truths(observed, summary).items():
        before = old.get(kind.value, {})
        changed = before.get("status") != status.value
        conditions.append(
            {
                "type": kind.value,
                "status": status.value,
                "reason": reason.value,
                "message": message[:_MESSAGE_LENGTH],
                "lastTransitionTime": timestamp(now) if changed else before["lastTransitionTime"],
                "observedGeneration": generation,
            }
        )
    others = [condition for kind, condition in old.items() if kind == ConditionType.NOTIFIED.value]
    return conditions + others


def _truths(observed: Observed, summary: Summary) -> dict[ConditionType, tuple[ConditionStatus, Reason, str]]:
    yes, no, unknown = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
    said = (summary.reason, summary.message)
    refused = summary.reason in REFUSALS and observed.own_job() is None
    pod = observed.current_pod()
    scheduled = pod is not None and bool(pod["spec"].get("nodeName"))
    runs = pod is not None and "running" in container_status(pod).get("state", {})
    rendering = runs and summary.phase in {Phase.RUNNING, Phase.UPLOADING}
    outcome = {Phase.SUCCEEDED: yes, Phase.FAILED: no, Phase.CANCELLED: no}.get(summary.phase, unknown)
    return {
        ConditionType.ACCEPTED: (no, *said) if refused else (yes, Reason.ACCEPTED, "the request is valid here"),
        ConditionType.SCHEDULED: (yes, Reason.STARTING, "a node is assigned") if scheduled else (no, *said),
        ConditionType.RUNNING: (yes if rendering else no, *said),
        ConditionType.SUCCEEDED: (outcome, *said),
    }


def difference(derived: Manifest, old: Manifest) -> Manifest:
    """Return the merge patch that brings the operator's fields from old to derived; empty where nothing changes."""
    patch = {key: value for key, value in derived.items() if old.get(key) != value}
    if "resolved" in patch:  # the seed in it may be the renderer's
        known = old.get("resolved", {})
        patch["resolved"] = {key: value for key, value in patch["resolved"].items() if known.get(key) != value}
        if not patch["resolved"]:
            del patch["resolved"]
    return patch
