"""What the outage drill finds fault with, and that docs/failures.md tells the committed result of it. Pure."""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from bench.chaos.findings import Findings, Manifest
from bench.outage import jobs, page
from bench.outage.jobs import Kind
from bench.outage.verdict import Before, judge
from receiver import Received


@dataclass
class Done:
    names: dict[Kind, str] = field(default_factory=lambda: {kind: f"job-{kind.name}" for kind in jobs.ALL})
    disturbed: set[str] = field(default_factory=lambda: {"job-dies-1"})


def video_job(kind: Kind) -> Manifest:
    name = f"job-{kind.name}"
    video = {"uri": f"s3://videos/outage/{name}/{name}-{kind.attempts}/video.mp4", "sha256": str(kind.request)}
    status = {"phase": "Succeeded", "attempts": kind.attempts, "artifacts": {"video": video}}
    resumed = {"renderer": {"resumedFromStep": 7 if kind.attempts > 1 else None}}
    return {"metadata": {"name": name, "uid": f"uid-{name}"}, "status": status | resumed}


def job(kind: Kind, uid: str = "") -> Manifest:
    name = f"job-{kind.name}"
    owner = {"uid": f"uid-{name}"}
    metadata = {"name": name, "uid": uid or f"job-uid-{name}", "ownerReferences": [owner]}
    return {"metadata": metadata, "status": {"conditions": [{"type": "Complete"}]}}


def pods(kind: Kind) -> list[Manifest]:
    name = f"job-{kind.name}"
    return [
        {
            "metadata": {
                "name": f"{name}-{number}",
                "labels": {"batch.kubernetes.io/job-name": name},
                "ownerReferences": [{"uid": f"job-uid-{name}"}],
            },
            "status": {"phase": "Succeeded" if number == kind.attempts else "Failed"},
        }
        for number in range(1, kind.attempts + 1)
    ]


def told(kind: Kind) -> Received:
    return Received("/hook", {"webhook-id": f"of-{kind.name}"}, f'{{"id": "job-{kind.name}"}}'.encode())


BEFORE = Before({f"job-{kind.name}": f"job-uid-job-{kind.name}" for kind in jobs.ALL}, told=1)
RIGHT = Findings(
    video_jobs={f"job-{kind.name}": video_job(kind) for kind in jobs.ALL},
    jobs=[job(kind) for kind in jobs.ALL],
    pods=[pod for kind in jobs.ALL for pod in pods(kind)],
    renderers=0,
    videos={f"job-{kind.name}": str(kind.request) for kind in jobs.ALL},
    unplayable=[],
    objects=[f"outage/job-{kind.name}/job-{kind.name}-{kind.attempts}/video.mp4" for kind in jobs.ALL],
    unfinished_uploads=[],
    read_at=datetime.now(UTC),
)
TOLD = [told(jobs.DONE), told(jobs.ENDS)]


def test_a_drill_in_which_all_went_well_is_found_no_fault_with() -> None:
    assert judge(BEFORE, RIGHT, Done(), TOLD) == []


def anew() -> Findings:
    begun = video_job(jobs.DIES)
    begun["status"]["renderer"]["resumedFromStep"] = None
    return replace(RIGHT, video_jobs=RIGHT.video_jobs | {"job-dies": begun})


@pytest.mark.parametrize(
    ("found", "received", "sentence"),
    [
        (replace(RIGHT, jobs=[*RIGHT.jobs[1:], job(jobs.DONE, "other")]), TOLD, "the Jobs are other ones than before"),
        (replace(RIGHT, pods=RIGHT.pods[1:]), TOLD, "job-done counts 1 attempts, and had 0 pods"),
        (replace(RIGHT, unplayable=["job-ends"]), TOLD, "the video of job-ends does not play"),
        (anew(), TOLD, "the render that was killed began anew"),
        (RIGHT, TOLD[:1], "webhooks of 0 jobs were delivered after the outage"),
        (RIGHT, [TOLD[0], TOLD[0]], "a receiver was told again of what it knew"),
        (RIGHT, [TOLD[0], told(jobs.DIES)], "tells of another job"),
    ],
)
def test_what_is_lost_doubled_or_begun_anew_is_told(found: Findings, received: list[Received], sentence: str) -> None:
    assert any(sentence in fault for fault in judge(BEFORE, found, Done(), received))


def test_the_page_tells_the_committed_result() -> None:
    report = json.loads(page.RESULT.read_text())
    assert page.render(report) in page.PAGE.read_text(), "run: python -m bench.outage.page"
    assert report["faults"] == []
    assert report["outage_seconds"] >= 600
