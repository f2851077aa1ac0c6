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
from videojob_operator.diagnosis import Diagnosis, why_ended, why_not_running
from videojob_operator.manifests import Manifest, timestamp, true_condition
from videojob_operator.observed import Observed, container_status, progress_of, termination

_MESSAGE_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class Summary:
    """Where a VideoJob stands, in three words."""

    phase: Phase
    reason: Reason
    message: str


FINAL_EXIT_CODES = frozenset({ExitCode.INVALID_REQUEST, ExitCode.CONTENT_REFUSED})
"""The Job's podFailurePolicy fails the Job at these; the pod tells it a second earlier."""

REFUSALS = frozenset({Reason.INVALID_REQUEST, Reason.UNKNOWN_MODEL, Reason.UNKNOWN_PROFILE})


def summarize(observed: Observed) -> Summary:
    """Say where an accepted VideoJob stands."""
    if observed.finished_pod() or (observed.own_job() is None and observed.any_video()):
        # Without a Job to look at, the recorded video decides: rendering it again would help nobody.
        return Summary(Phase.SUCCEEDED, Reason.COMPLETED, "the video is in S3")
    job = observed.own_job()
    if job is None:
        return Summary(Phase.PENDING, Reason.WAITING_FOR_POD, "the Job is being created")
    return _of_job(observed, job)


def _of_job(observed: Observed, job: Manifest) -> Summary:
    if failed := true_condition(job, "Failed"):
        return _failed(observed, failed)
    if true_condition(job, "Complete"):
        return Summary(Phase.FAILED, Reason.ARTIFACT_MISSING, "the renderer ended well but recorded no video")
    pod = observed.current_pod()
    if job["spec"].get("suspend"):
        return Summary(Phase.QUEUED, Reason.SUSPENDED, _why_suspended(observed, job))
    if pod is None:
        return Summary(Phase.PENDING, Reason.WAITING_FOR_POD, "the Job has no pod yet")
    return _of_pod(observed.status, pod)


def _why_suspended(observed: Observed, job: Manifest) -> str:
    if (observed.video_job or {})["spec"].get("suspend"):
        return "spec.suspend is true"
    reserved = true_condition(job, "Suspended") or {}
    return reserved.get("message") or "the Job is suspended by the cluster's queue"


def _failed(observed: Observed, failed: Manifest) -> Summary:
    """The Job controller has given up: say why in the words of the last pod."""
    if failed.get("reason") == "DeadlineExceeded":
        message = "the job was not finished within activeDeadlineSeconds"
        return Summary(Phase.FAILED, Reason.DEADLINE_EXCEEDED, message)
    ends = [why for pod in observed.own_pods() if (why := why_ended(pod))]
    given_up = failed.get("reason") == "BackoffLimitExceeded"
    if not ends:
        reason = Reason.BACKOFF_LIMIT_EXCEEDED if given_up else Reason.RENDERER_FAILED
        return Summary(Phase.FAILED, reason, failed.get("message") or "the Job failed, and no pod says why")
    reason, message = ends[-1]
    if given_up:
        message = f"gave up after {len(ends)} failed pod(s): {message}"
        reason = Reason.BACKOFF_LIMIT_EXCEEDED if reason is Reason.RENDERER_FAILED else reason
    return Summary(Phase.FAILED, reason, message)


def _of_pod(status: Manifest, pod: Manifest) -> Summary:
    ended = termination(pod)
    if ended and ended["exitCode"] == ExitCode.OK:
        return Summary(Phase.UPLOADING, Reason.UPLOADING, "the renderer has ended; its last report is on its way")
    if why := why_ended(pod):
        if ended and ended["exitCode"] in FINAL_EXIT_CODES:
            return Summary(Phase.FAILED, why.reason, why.message)
        return Summary(Phase.PENDING, Reason.RETRYING, f"another pod follows: {why.message}")
    if pod.get("status", {}).get("phase", "Pending") == "Pending":
        return _of_pending_pod(pod)
    return _of_running_pod(progress_of(status, pod))


def _of_pending_pod(pod: Manifest) -> Summary:
    why: Diagnosis | None = why_not_running(pod)
    node = pod["spec"].get("nodeName")
    phase = Phase.STARTING if node else Phase.PENDING
    if why:
        return Summary(phase, why.reason, why.message)
    if node:
        return Summary(phase, Reason.STARTING, f"the pod starts on node {node}")
    return Summary(phase, Reason.WAITING_FOR_POD, "the pod waits for a node")


def _of_running_pod(progress: dict[str, Any]) -> Summary:
    stage = progress.get("stage", Stage.LOADING)
    if stage == Stage.LOADING:
        return Summary(Phase.STARTING, Reason.STARTING, "the renderer loads the model")
    if stage == Stage.UPLOADING:
        return Summary(Phase.UPLOADING, Reason.UPLOADING, "the video goes to S3")
    return Summary(Phase.RUNNING, Reason.RENDERING, "the renderer is at work")


def derive_status(
    observed: Observed, summary: Summary, now: datetime, *, resolved: dict[str, Any] | None = None
) -> Manifest:
    """Return all status fields that are the operator's.

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
    if summary.phase in TERMINAL_PHASES:
        derived["completionTime"] = _completion_time(observed, now)
    return derived


def _of_attempt(observed: Observed, pod: Manifest) -> Manifest:
    """Name the newest attempt, and count it with those that came and went unseen."""
    old, name = observed.status, pod["metadata"]["name"]
    new = observed.attempts_since(old.get("podName"))
    if not new and old.get("podName") != name:
        return {}
    fields = {"podName": name, "nodeName": pod["spec"]["nodeName"], "attempts": old.get("attempts", 0) + new}
    started = old.get("startTime") or pod.get("status", {}).get("startTime")
    return fields | ({"startTime": started} if started else {})


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
    if summary.reason in REFUSALS and observed.own_job() is None:
        refused = (no, *said)
        return {ConditionType.ACCEPTED: refused, ConditionType.SUCCEEDED: refused}
    pod = observed.current_pod()
    scheduled = pod is not None and bool(pod["spec"].get("nodeName"))
    running = pod is not None and "running" in container_status(pod).get("state", {})
    outcome = {Phase.SUCCEEDED: yes, Phase.FAILED: no, Phase.CANCELLED: no}.get(summary.phase, unknown)
    ended = outcome is not unknown
    return {
        ConditionType.ACCEPTED: (yes, Reason.ACCEPTED, "the request is valid here"),
        ConditionType.SCHEDULED: (yes, Reason.STARTING, "a node is assigned") if scheduled else (no, *said),
        ConditionType.RUNNING: (yes, *said) if running and not ended else (no, *said),
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
