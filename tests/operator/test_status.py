"""Where a VideoJob stands follows from VideoJob, Job and pods alone."""

import pytest
from tests.operator import worlds as w
from tests.operator.worlds import NOW, RUNNING, Manifest, assert_golden, ended, job, observed, pod, video_job

from videojob.status import VideoJobStatus
from videojob.termination import TerminationMessage
from videojob_operator.observed import Observed
from videojob_operator.status import Summary, derive_status, difference, summarize

WORDS = '{"reason": "WeightsUnavailable", "message": "no such repository: a/b"}'
UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
}
SCHEDULED = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2025-09-14T12:00:01Z"}
DISRUPTED = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained"}

CASES = [
    # what is there, phase, reason, part of the message
    (observed(), "Pending", "WaitingForPod", "on a node"),
    (observed(None, job()), "Pending", "WaitingForPod", "on a node"),
    (observed(None, job(suspend=True)), "Queued", "Suspended", "queue"),
    (observed(video_job(suspend=True), job(suspend=True)), "Queued", "Suspended", "spec.suspend"),
    (observed(None, job(), pod(node=None)), "Pending", "WaitingForPod", "on a node"),
    (observed(None, job(), pod(node=None, conditions=[UNSCHEDULABLE])), "Pending", "GpusTaken", "Insufficient"),
    (observed(None, job(), pod()), "Starting", "Starting", "gpu-1"),
    (
        observed(None, job(), pod(state=w.waiting_for("ImagePullBackOff", "manifest unknown"))),
        "Starting",
        "ImageNotFound",
        "manifest unknown",
    ),
    (
        observed(None, job(), pod(state=w.waiting_for("CreateContainerConfigError", 'secret "s3" not found'))),
        "Starting",
        "ContainerConfigError",
        "not found",
    ),
    (observed(None, job(), pod(phase="Running", state=RUNNING)), "Starting", "Starting", "gpu-1"),
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
        "gpu-1",
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
        # a drain took the pod away before anybody had seen its end
        observed(video_job(status=w.recorded_video()), job(Complete="CompletionsReached")),
        "Succeeded",
        "Completed",
        "S3",
    ),
    (
        # a video of an earlier VideoJob of this name
        observed(video_job(status=w.recorded_video(uid="other"))),
        "Pending",
        "WaitingForPod",
        "on a node",
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
        # refused while its node was being drained: the next pod would refuse it as well
        observed(None, job(), pod(phase="Failed", state=ended(64), conditions=[DISRUPTED])),
        "Failed",
        "InvalidRequest",
        "refused",
    ),
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
        "ran out of memory",
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
    (observed(None, job(Failed="PodFailurePolicy")), "Failed", "RendererFailed", "because PodFailurePolicy"),
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


GOLDEN_WORLDS = {
    "status-queued": observed(video_job(suspend=True), job(suspend=True)),
    "status-unschedulable": observed(None, job(), pod(node=None, conditions=[UNSCHEDULABLE])),
    "status-running": observed(video_job(status=w.progress("Denoising")), job(), pod(phase="Running", state=RUNNING)),
    "status-succeeded": observed(video_job(status=w.recorded_video()), job(), pod(phase="Succeeded", state=ended(0))),
    "status-failed": observed(None, job(Failed="BackoffLimitExceeded"), pod(phase="Failed", state=ended(1, WORDS))),
}


@pytest.mark.parametrize("name", GOLDEN_WORLDS)
def test_the_status_is_as_the_golden_file(name: str) -> None:
    assert_golden(name, status_of(GOLDEN_WORLDS[name]))


@pytest.mark.parametrize("name", GOLDEN_WORLDS)
def test_the_status_fits_the_resource(name: str) -> None:
    VideoJobStatus.model_validate(status_of(GOLDEN_WORLDS[name]))


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    first = status_of(observed(None, job(), pod()))
    for condition in first["conditions"]:
        condition["lastTransitionTime"] = "2025-09-14T11:00:00Z"
    renders = video_job(status=first | w.progress("Denoising"))
    running = status_of(observed(renders, job(), pod(phase="Running", state=RUNNING)))
    times = {condition["type"]: condition["lastTransitionTime"] for condition in running["conditions"]}
    assert times == {
        "Accepted": "2025-09-14T11:00:00Z",
        "Scheduled": "2025-09-14T11:00:00Z",
        "Running": "2025-09-14T12:10:30Z",
        "Succeeded": "2025-09-14T11:00:00Z",
    }


def test_what_changes_within_a_phase_of_a_plain_life_is_no_write() -> None:
    bound = pod()
    del bound["status"]["startTime"]  # the kubelet has not seen it
    bound["status"]["conditions"] = [SCHEDULED]
    started = pod(phase="Running", state=RUNNING)
    for earlier, later in (
        (observed(), observed(None, job())),
        (observed(), observed(None, job(), pod(node=None))),
        (observed(None, job(), bound), observed(None, job(), started)),
    ):
        known = video_job(status=status_of(earlier))
        assert difference(status_of(Observed(known, later.job, later.pods)), known["status"]) == {}


SECOND, THIRD = "squirrel-fghij", "squirrel-klmno"


def failed_pod(name: str, created: str) -> Manifest:
    return pod(name=name, created=created, phase="Failed", state=ended(1))


FIRST_FAILED = failed_pod(w.POD, "2025-09-14T12:00:01Z")
SECOND_FAILED = failed_pod(SECOND, "2025-09-14T12:06:00Z")
THIRD_RUNS = pod(name=THIRD, created="2025-09-14T12:12:00Z", phase="Running", state=RUNNING)


def test_each_new_pod_is_one_more_attempt() -> None:
    first = status_of(observed(None, job(), pod(phase="Running", state=RUNNING)))
    again = status_of(observed(video_job(status=first), job(), FIRST_FAILED))
    second = pod(name=SECOND, created="2025-09-14T12:06:00Z")
    retried = status_of(observed(video_job(status=again), job(), second, FIRST_FAILED))
    assert (first["attempts"], again["attempts"], retried["attempts"]) == (1, 1, 2)
    assert retried["podName"] == SECOND
    assert retried["startTime"] == first["startTime"]


@pytest.mark.parametrize(
    ("known", "pods", "attempts", "name"),
    [
        # pods that came and went while no operator looked
        ({}, [FIRST_FAILED, SECOND_FAILED, THIRD_RUNS], 3, THIRD),
        ({"attempts": 1, "podName": w.POD}, [FIRST_FAILED, SECOND_FAILED, THIRD_RUNS], 3, THIRD),
        # the second pod was deleted by hand: the first is no new attempt, the third is
        ({"attempts": 2, "podName": SECOND}, [FIRST_FAILED], 2, None),
        ({"attempts": 2, "podName": SECOND}, [FIRST_FAILED, THIRD_RUNS], 3, THIRD),
        # the Job was deleted by hand and made again
        ({"attempts": 2, "podName": SECOND}, [THIRD_RUNS], 3, THIRD),
        # a pod that waits for a node has not started
        ({}, [pod(node=None)], 0, None),
    ],
)
def test_attempts_are_counted_once_each(known: Manifest, pods: list[Manifest], attempts: int, name: str | None) -> None:
    status = status_of(observed(video_job(status=known), job(), *pods))
    assert (status["attempts"], status.get("podName")) == (attempts, name)


def test_of_two_pods_made_in_the_same_second_the_one_that_runs_counts() -> None:
    same_second = {
        **SECOND_FAILED,
        "metadata": {**SECOND_FAILED["metadata"], "creationTimestamp": "2025-09-14T12:12:00Z"},
    }
    for pods in ([same_second, THIRD_RUNS], [THIRD_RUNS, same_second]):
        assert status_of(observed(None, job(), *pods))["podName"] == THIRD


LEFT = {"video": {"uri": f"s3://videos/studio/{w.UID}/{w.POD}/video.mp4", "bytes": 7}}
NOT_OURS = {"video": {"uri": f"s3://videos/studio/other/{w.POD}/video.mp4"}}


def left(artifacts: Manifest, code: int = 0) -> Manifest:
    words = TerminationMessage(reason="Completed", message="the API server was away", artifacts=artifacts)
    return pod(phase="Succeeded" if code == 0 else "Failed", state=ended(code, words.encode()))


def test_a_video_that_only_the_last_words_name_is_recorded() -> None:
    status = status_of(observed(None, job(Complete="CompletionsReached"), left(LEFT)))
    assert (status["phase"], status["artifacts"]) == ("Succeeded", LEFT)
    VideoJobStatus.model_validate(status)


def test_files_of_an_earlier_attempt_go_when_the_last_words_name_others() -> None:
    earlier = w.recorded_video(pod_name=SECOND)
    earlier["artifacts"]["thumbnail"] = {"uri": "s3://videos/earlier.webp"}
    status = status_of(observed(video_job(status=earlier), job(), left(LEFT)))
    assert status["artifacts"] == LEFT | {"thumbnail": None}


def test_a_video_that_is_recorded_already_stays_the_renderers() -> None:
    assert "artifacts" not in status_of(observed(video_job(status=w.recorded_video()), job(), left(LEFT)))


@pytest.mark.parametrize(("artifacts", "code"), [(NOT_OURS, 0), ({"video": {}}, 0), ({}, 0), (LEFT, 1)])
def test_last_words_that_name_no_video_of_this_pod_record_none(artifacts: Manifest, code: int) -> None:
    status = status_of(observed(None, job(Complete="CompletionsReached"), left(artifacts, code)))
    assert (status["phase"], status["reason"]) == ("Failed", "ArtifactMissing")
    assert "artifacts" not in status


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
