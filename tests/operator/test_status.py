"""Where a VideoJob stands follows from VideoJob, Job and pods alone."""

import pytest
from tests.operator import worlds as w
from tests.operator.worlds import NOW, RUNNING, Manifest, ended, job, observed, pod, video_job

from videojob_operator.observed import Observed
from videojob_operator.status import Summary, derive_status, difference, summarize

WORDS = '{"reason": "WeightsUnavailable", "message": "no such repository: a/b"}'
UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
}
DISRUPTED = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained"}

CASES = [
    # what is there, phase, reason, part of the message
    (observed(), "Pending", "WaitingForPod", "being created"),
    (observed(None, job()), "Pending", "WaitingForPod", "no pod yet"),
    (observed(None, job(suspend=True)), "Queued", "Suspended", "queue"),
    (observed(video_job(suspend=True), job(suspend=True)), "Queued", "Suspended", "spec.suspend"),
    (observed(None, job(), pod(node=None)), "Pending", "WaitingForPod", "waits for a node"),
    (observed(None, job(), pod(node=None, conditions=[UNSCHEDULABLE])), "Pending", "Unschedulable", "Insufficient"),
    (observed(None, job(), pod()), "Starting", "Starting", "gpu-1"),
    (
        observed(None, job(), pod(state=w.waiting_for("ImagePullBackOff", "manifest unknown"))),
        "Starting",
        "ImagePullFailed",
        "manifest unknown",
    ),
    (
        observed(None, job(), pod(state=w.waiting_for("CreateContainerConfigError", 'secret "s3" not found'))),
        "Starting",
        "ContainerConfigError",
        "not found",
    ),
    (observed(None, job(), pod(phase="Running", state=RUNNING)), "Starting", "Starting", "loads the model"),
    (
        observed(video_job(status=w.progress("Denoising")), job(), pod(phase="Running", state=RUNNING)),
        "Running",
        "Rendering",
        "at work",
    ),
    (
        observed(video_job(status=w.progress("Uploading")), job(), pod(phase="Running", state=RUNNING)),
        "Uploading",
        "Uploading",
        "S3",
    ),
    (
        # progress of a former attempt says nothing about this one
        observed(
            video_job(status=w.progress("Uploading", pod_name="squirrel-fghij")),
            job(),
            pod(phase="Running", state=RUNNING),
        ),
        "Starting",
        "Starting",
        "loads the model",
    ),
    (
        observed(video_job(status=w.recorded_video()), job(), pod(phase="Succeeded", state=ended(0))),
        "Succeeded",
        "Completed",
        "S3",
    ),
    (
        # the last report has not reached us yet
        observed(None, job(), pod(phase="Succeeded", state=ended(0))),
        "Uploading",
        "Uploading",
        "on its way",
    ),
    (
        observed(
            video_job(status=w.recorded_video(pod_name="squirrel-fghij")),
            job(),
            pod(phase="Succeeded", state=ended(0)),
        ),
        "Uploading",
        "Uploading",
        "on its way",
    ),
    (
        observed(None, job(Complete="CompletionsReached"), pod(phase="Succeeded", state=ended(0))),
        "Failed",
        "ArtifactMissing",
        "recorded no video",
    ),
    (
        # the TTL removed the Job while no operator ran
        observed(video_job(status=w.recorded_video())),
        "Succeeded",
        "Completed",
        "S3",
    ),
    (
        # a video of an earlier VideoJob of this name
        observed(video_job(status=w.recorded_video(uid="other"))),
        "Pending",
        "WaitingForPod",
        "being created",
    ),
    (observed(None, job(), pod(phase="Failed", state=ended(1, WORDS))), "Pending", "Retrying", "no such repository"),
    (observed(None, job(), pod(phase="Failed", state=ended(75))), "Pending", "Retrying", "asked to stop"),
    (
        observed(None, job(), pod(phase="Failed", state=ended(137), conditions=[DISRUPTED])),
        "Pending",
        "Retrying",
        "drained",
    ),
    (observed(None, job(), pod(phase="Failed", state=ended(64))), "Failed", "InvalidRequest", "refused"),
    (observed(None, job(), pod(phase="Failed", state=ended(65))), "Failed", "ContentRefused", "policy"),
    (
        observed(None, job(Failed="BackoffLimitExceeded"), pod(phase="Failed", state=ended(1, WORDS))),
        "Failed",
        "WeightsUnavailable",
        "gave up after 1 failed pod(s): no such repository",
    ),
    (
        observed(None, job(Failed="BackoffLimitExceeded"), pod(phase="Failed", state=ended(70))),
        "Failed",
        "GpuFault",
        "CUDA",
    ),
    (
        observed(None, job(Failed="BackoffLimitExceeded"), pod(phase="Failed", state=ended(137, reason="OOMKilled"))),
        "Failed",
        "OutOfMemory",
        "raise its limit",
    ),
    (
        observed(None, job(Failed="BackoffLimitExceeded"), pod(phase="Failed", state=ended(3, "Killed"))),
        "Failed",
        "BackoffLimitExceeded",
        "exit code 3: Killed",
    ),
    (
        observed(None, job(Failed="BackoffLimitExceeded"), pod(phase="Failed", message="The node was low on memory")),
        "Failed",
        "BackoffLimitExceeded",
        "low on memory",
    ),
    (observed(None, job(Failed="BackoffLimitExceeded")), "Failed", "BackoffLimitExceeded", "because"),
    (
        observed(None, job(Failed="DeadlineExceeded"), pod(phase="Failed", state=ended(143))),
        "Failed",
        "DeadlineExceeded",
        "activeDeadlineSeconds",
    ),
]


@pytest.mark.parametrize(("world", "phase", "reason", "message"), CASES)
def test_a_summary_follows_from_what_is_there(world: Observed, phase: str, reason: str, message: str) -> None:
    summary = summarize(world)
    assert (summary.phase, summary.reason) == (phase, reason)
    assert message in summary.message


def status_of(world: Observed) -> Manifest:
    return derive_status(world, summarize(world), NOW, resolved={"model": "CogVideoX-2b", "numFrames": 49})


def test_the_status_of_a_running_job_is_complete() -> None:
    world = observed(video_job(status=w.progress("Denoising")), job(), pod(phase="Running", state=RUNNING))
    status = status_of(world)
    conditions = {condition.pop("type"): condition for condition in status.pop("conditions")}
    assert status == {
        "observedGeneration": 1,
        "phase": "Running",
        "reason": "Rendering",
        "message": "the renderer is at work",
        "queuedTime": "2025-09-14T12:00:00Z",
        "startTime": "2025-09-14T12:00:02Z",
        "attempts": 1,
        "podName": "squirrel-abcde",
        "nodeName": "gpu-1",
        "jobName": "squirrel",
        "resolved": {"model": "CogVideoX-2b", "numFrames": 49},
    }
    assert {kind: condition["status"] for kind, condition in conditions.items()} == {
        "Accepted": "True",
        "Scheduled": "True",
        "Running": "True",
        "Succeeded": "Unknown",
    }
    assert all(condition["observedGeneration"] == 1 for condition in conditions.values())


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    first = status_of(observed(None, job(), pod()))
    for condition in first["conditions"]:
        condition["lastTransitionTime"] = "2025-09-14T11:00:00Z"
    running = status_of(observed(video_job(status=first), job(), pod(phase="Running", state=RUNNING)))
    times = {condition["type"]: condition["lastTransitionTime"] for condition in running["conditions"]}
    assert times == {
        "Accepted": "2025-09-14T11:00:00Z",
        "Scheduled": "2025-09-14T11:00:00Z",
        "Running": "2025-09-14T12:10:30Z",
        "Succeeded": "2025-09-14T11:00:00Z",
    }


def test_each_new_pod_is_one_more_attempt() -> None:
    first = status_of(observed(None, job(), pod(phase="Running", state=RUNNING)))
    again = status_of(observed(video_job(status=first), job(), pod(phase="Failed", state=ended(1))))
    second = pod(name="squirrel-fghij", created="2025-09-14T12:06:00Z")
    retried = status_of(observed(video_job(status=again), job(), pod(phase="Failed", state=ended(1)), second))
    assert (first["attempts"], again["attempts"], retried["attempts"]) == (1, 1, 2)
    assert retried["podName"] == "squirrel-fghij"
    assert retried["startTime"] == first["startTime"]


def test_the_completion_is_the_end_of_the_container() -> None:
    world = observed(video_job(status=w.recorded_video()), job(), pod(phase="Succeeded", state=ended(0)))
    assert status_of(world)["completionTime"] == "2025-09-14T12:05:00Z"


def test_only_what_changes_is_written_and_a_seed_of_the_renderer_stays() -> None:
    world = observed(None, job(), pod())
    derived = status_of(world)
    assert difference(derived, derived | {"progress": {}, "resolved": derived["resolved"] | {"seed": 7}}) == {}
    assert difference(derived | {"phase": "Running"}, derived) == {"phase": "Running"}
    assert difference(derived, {k: v for k, v in derived.items() if k != "resolved"}) == {
        "resolved": derived["resolved"]
    }


def test_a_long_message_fits_into_the_resource() -> None:
    world = observed(None, job(), pod())
    summary = summarize(world)
    status = derive_status(world, Summary(summary.phase, summary.reason, "x" * 5000), NOW)
    assert len(status["message"]) == 1024
