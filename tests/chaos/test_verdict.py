"""What a run of chaos finds fault with. Pure."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bench.chaos.findings import Findings, Manifest
from bench.chaos.plan import Order, Request
from bench.chaos.verdict import Run, judge

from videojob_operator.job import JOB_TTL_SECONDS

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
UID = "3f2a7b1c-0000-4000-8000-000000000001"
RUN = Run([Order(Request("a panda", 7, 2), "keep", 0)], {0: "panda"}, set())


def video_job(ended: datetime) -> Manifest:
    video = {"uri": f"s3://videos/studio/{UID}/panda-1/video.mp4", "sha256": "abc"}
    status = {"phase": "Succeeded", "attempts": 1, "completionTime": ended.isoformat(), "artifacts": {"video": video}}
    return {"metadata": {"name": "panda", "uid": UID}, "status": status}


JOB = {
    "metadata": {"name": "panda", "uid": "job-uid", "ownerReferences": [{"uid": UID}]},
    "status": {"conditions": [{"type": "Complete"}]},
}
POD = {
    "metadata": {
        "name": "panda-1",
        "labels": {"batch.kubernetes.io/job-name": "panda"},
        "ownerReferences": [{"uid": "job-uid"}],
    },
    "status": {"phase": "Succeeded"},
}
RIGHT = Findings(
    video_jobs={"panda": video_job(NOW)},
    jobs=[JOB],
    pods=[POD],
    renderers=0,
    videos={"panda": "abc"},
    unplayable=[],
    objects=[f"studio/{UID}/panda-1/video.mp4"],
    unfinished_uploads=[],
    read_at=NOW,
)


def test_a_run_in_which_all_went_well_is_found_no_fault_with() -> None:
    assert judge(RUN, RIGHT) == []


def test_a_pod_that_is_gone_is_told() -> None:
    assert judge(RUN, replace(RIGHT, pods=[])) == [
        "panda has 0 pods that ended well",
        "panda counts 1 attempts, and had 0 pods",
    ]


def test_what_kubernetes_clears_away_after_its_time_is_no_fault_and_before_it_is() -> None:
    cleared = replace(RIGHT, jobs=[], pods=[])
    assert judge(RUN, cleared) == [f"the Job of panda is gone, less than {JOB_TTL_SECONDS} s after its end"]
    long_ago = NOW - timedelta(seconds=JOB_TTL_SECONDS)
    assert judge(RUN, replace(cleared, video_jobs={"panda": video_job(long_ago)})) == []


def test_a_checkpoint_that_a_finished_job_left_is_told() -> None:
    left = replace(RIGHT, objects=[*RIGHT.objects, f"studio/{UID}/checkpoint/state.safetensors"])
    assert judge(RUN, left) == ["panda has left its checkpoint"]
