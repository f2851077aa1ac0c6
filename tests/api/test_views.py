"""From a VideoJob to what a client is told."""

from typing import Any

import pytest

from videojob.phases import Phase
from videojob_api.standing import Standing
from videojob_api.storage import key_of
from videojob_api.views import STATUS_WORDS, describe, describe_listed, word_of

CREATED = "2025-09-14T12:10:30Z"


def a_job(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "job-1", "uid": "u-1", "creationTimestamp": CREATED},
        "spec": {"request": {"prompt": "a squirrel", "model": "CogVideoX-2b"}},
        "status": status,
    }


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_has_one_of_the_four_words(phase: Phase) -> None:
    assert word_of(a_job(phase=phase)) in {"pending", "processing", "completed", "failed"}
    assert set(STATUS_WORDS) == {"", *Phase}


def test_a_job_the_operator_has_not_seen_is_pending() -> None:
    job = a_job()
    del job["status"]
    assert describe(job).status == "pending"
    assert describe(job).phase == "Pending"


def test_a_phase_of_a_newer_operator_is_on_its_way() -> None:
    assert word_of(a_job(phase="Polishing")) == "processing"


def test_progress_of_the_attempt_that_runs_is_shown() -> None:
    progress = {
        "stage": "Denoising",
        "percent": 42,
        "step": 4,
        "steps": 10,
        "podName": "job-1-b",
        "updatedTime": CREATED,
    }
    shown = describe(a_job(phase="Running", podName="job-1-b", progress=progress)).progress
    assert shown
    assert (shown.stage, shown.percent, shown.step, shown.steps) == ("Denoising", 42, 4, 10)


def test_progress_of_an_earlier_attempt_is_not_shown() -> None:
    progress = {"stage": "Denoising", "percent": 42, "podName": "job-1-a", "updatedTime": CREATED}
    assert describe(a_job(phase="Starting", podName="job-1-b", progress=progress)).progress is None


def test_the_request_that_is_told_gives_the_same_video_again() -> None:
    job = a_job(phase="Running", resolved={"seed": 7})
    job["spec"]["request"] |= {"numFrames": 49, "guidanceScale": 4.5}
    assert describe_listed(job, Standing()).request == {
        "prompt": "a squirrel",
        "model": "CogVideoX-2b",
        "num_frames": 49,
        "guidance_scale": 4.5,
        "seed": 7,
        "profile": "default",
    }


def test_the_request_that_is_told_has_the_defaults_that_were_filled_in() -> None:
    resolved = {"model": "CogVideoX-5b", "numFrames": 49, "width": 720, "height": 480, "fps": 8, "steps": 50}
    job = a_job(phase="Running", resolved=resolved | {"guidanceScale": 6.0, "seed": 7})
    job["spec"]["request"] = {"prompt": "a squirrel", "fps": 12}
    assert describe_listed(job, Standing()).request == {
        "prompt": "a squirrel",
        "model": "CogVideoX-5b",
        "num_frames": 49,
        "width": 720,
        "height": 480,
        "fps": 12,
        "steps": 50,
        "guidance_scale": 6.0,
        "seed": 7,
        "profile": "default",
    }


def test_a_prompt_is_never_part_of_a_status() -> None:
    assert "squirrel" not in describe(a_job(phase="Running")).model_dump_json()


def test_what_can_be_done_is_told_with_the_reason() -> None:
    hint = "raise resources.limits.memory in the profile"
    job = a_job(phase="Failed", reason="OutOfMemory", message="the pod ran out of memory", hint=hint)
    assert describe(job).hint == hint
    assert describe_listed(job, Standing()).hint == hint
    assert describe(a_job(phase="Running")).hint is None


def test_only_a_completed_job_has_a_video_url() -> None:
    assert describe(a_job(phase="Succeeded")).video_url == "/video/job-1"
    assert describe(a_job(phase="Running")).video_url is None
    assert describe(a_job(phase="Failed")).video_url is None


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "s3://videos/",
        "s3://other/prod/ns/u-1/pod/video.mp4",
        "https://videos/prod/ns/u-1/pod/video.mp4",
        "s3://videos/prod/ns/u-2/pod/video.mp4",
        "s3://videos/prod/ns/u-1",
        "s3://videos/prod/ns/u-11/video.mp4",
        "s3://videos/prod/ns/u-1/../u-2/pod/video.mp4",
    ],
)
def test_a_renderer_cannot_name_the_video_of_another_job(uri: str) -> None:
    assert key_of(uri, "videos", "prod/ns/u-1") is None


def test_the_video_of_the_job_itself_is_found() -> None:
    uri = "s3://videos/prod/ns/u-1/pod/video.mp4"
    assert key_of(uri, "videos", "prod/ns/u-1") == "prod/ns/u-1/pod/video.mp4"
