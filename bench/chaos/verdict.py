"""Whether all went well. Pure: each function says what must hold, and gives a sentence for each case that does not."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bench.chaos.findings import Findings, Manifest, phase_of, shortened
from bench.chaos.plan import Order

from videojob_operator.job import JOB_TTL_SECONDS

_OF_A_JOB = re.compile(r"[^/]+/([0-9a-f-]{36})/([^/]+)/")
"""NAMESPACE/UID/ATTEMPT/…"""

_ENDS = {"keep": {"Succeeded"}, "cancel": {"Cancelled", "Succeeded"}, "delete": set[str]()}
"""Fate -> the right ends; a job that is quicker than its cancellation has succeeded."""


@dataclass(frozen=True)
class Run:
    """What was asked for and done.

    Attributes:
        orders: what was ordered.
        placed: number of the order -> name of its job.
        disturbed: pods whose renderer was killed.
    """

    orders: list[Order]
    placed: Mapping[int, str]
    disturbed: set[str]


def judge(run: Run, found: Findings) -> list[str]:
    """Return what went wrong, in sentences; nothing: all went well."""
    return [
        *_each_order_is_one_job(run, found),
        *_each_job_ended_right(run, found),
        *_each_video_is_whole_and_unique(found),
        *_the_same_request_gives_the_same_bytes(run, found),
        *_nothing_was_rendered_twice(run, found),
        *_nothing_was_left_behind(found),
        *_each_object_is_accounted_for(run, found),
    ]


def figures(run: Run, found: Findings) -> dict[str, object]:
    """Count what happened."""
    statuses = [job.get("status", {}) for job in found.video_jobs.values()]
    resumed = [status for status in statuses if (status.get("renderer") or {}).get("resumedFromStep")]
    named = {_key(job) for job in found.video_jobs.values()}
    return {
        "phases": dict(Counter(phase_of(job) for job in found.video_jobs.values())),
        "attempts": dict(sorted(Counter(status.get("attempts", 0) for status in statuses).items())),
        "renderers_disturbed": len(run.disturbed),
        "resumed_from_a_checkpoint": len(resumed),
        "different_videos": len(set(found.videos.values())),
        "videos_of_killed_attempts": sum(key.endswith("/video.mp4") and key not in named for key in found.objects),
    }


def has_ended(job: Manifest) -> bool:
    """Tell whether a Job of Kubernetes' own has ended."""
    conditions = job.get("status", {}).get("conditions", [])
    return bool({condition["type"] for condition in conditions} & {"Complete", "Failed"})


def _each_order_is_one_job(run: Run, found: Findings) -> Iterator[str]:
    if missing := len(run.orders) - len(run.placed):
        yield f"{missing} orders were never taken"
    names = Counter(run.placed.values())
    yield from (f"{count} orders were given the one job {name}" for name, count in names.items() if count > 1)
    yield from (f"{name} is there, and nobody ordered it" for name in found.video_jobs.keys() - names.keys())


def _each_job_ended_right(run: Run, found: Findings) -> Iterator[str]:
    for number, name in run.placed.items():
        right, job = _ENDS[run.orders[number].fate], found.video_jobs.get(name)
        if job and phase_of(job) not in right:
            yield f"{name}, which is to {run.orders[number].fate}, ended so: {shortened(job)}"
        if right and not job:
            yield f"{name} is gone, though nobody deleted it"


def _each_video_is_whole_and_unique(found: Findings) -> Iterator[str]:
    for name, sha256 in found.videos.items():
        if sha256 != found.video_jobs[name]["status"]["artifacts"]["video"]["sha256"]:
            yield f"the video of {name} is not the one that its status names"
    yield from (f"the video of {name} does not play" for name in found.unplayable)
    keys = Counter(_key(found.video_jobs[name]) for name in found.videos)
    yield from (f"{count} jobs name the one object {key}" for key, count in keys.items() if count > 1)
    yield from (f"{key} is named by a job and is not in the bucket" for key in keys.keys() - set(found.objects))


def _the_same_request_gives_the_same_bytes(run: Run, found: Findings) -> Iterator[str]:
    digests = defaultdict(set)
    for number, name in run.placed.items():
        if name in found.videos:
            digests[run.orders[number].request].add(found.videos[name])
    yield from (
        f"{request} was rendered to {len(each)} different videos" for request, each in digests.items() if len(each) > 1
    )


def _nothing_was_rendered_twice(run: Run, found: Findings) -> Iterator[str]:
    pods = defaultdict(list)
    for pod in found.pods:
        pods[pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]].append(pod)
    jobs = {job["metadata"]["name"] for job in found.jobs}
    for name in found.videos:
        if name not in jobs:
            if not _is_long_ended(found.video_jobs[name], found.read_at):
                yield f"the Job of {name} is gone, less than {JOB_TTL_SECONDS} s after its end"
            continue
        phases = Counter(pod["status"]["phase"] for pod in pods[name])
        if phases["Succeeded"] != 1:
            yield f"{name} has {phases['Succeeded']} pods that ended well"
        attempts = found.video_jobs[name]["status"]["attempts"]
        if attempts != len(pods[name]):
            yield f"{name} counts {attempts} attempts, and had {len(pods[name])} pods"
        for pod in pods[name]:
            if pod["status"]["phase"] == "Failed" and pod["metadata"]["name"] not in run.disturbed:
                yield f"pod {pod['metadata']['name']} failed, and nobody had touched it: {_end_of(pod)}"


def _is_long_ended(job: Manifest, now: datetime) -> bool:
    """Tell whether Kubernetes may have cleared the Job and its pods away by now."""
    return datetime.fromisoformat(job["status"]["completionTime"]) + timedelta(seconds=JOB_TTL_SECONDS) <= now


def _nothing_was_left_behind(found: Findings) -> Iterator[str]:
    uids = {job["metadata"]["uid"] for job in found.video_jobs.values()}
    for job in found.jobs:
        name, owners = job["metadata"]["name"], job["metadata"].get("ownerReferences", [])
        if not uids & {owner["uid"] for owner in owners}:
            yield f"Job {name} has no VideoJob"
        if not has_ended(job):
            yield f"Job {name} goes on"
    jobs = {job["metadata"]["uid"] for job in found.jobs}
    for pod in found.pods:
        if not jobs & {owner["uid"] for owner in pod["metadata"].get("ownerReferences", [])}:
            yield f"pod {pod['metadata']['name']} has no Job"
        if pod["status"].get("phase") not in {"Succeeded", "Failed"}:
            yield f"pod {pod['metadata']['name']} goes on"
    if found.renderers:
        yield f"{found.renderers} renderers still run"


def _each_object_is_accounted_for(run: Run, found: Findings) -> Iterator[str]:
    yield from (f"the upload of {key} was never ended" for key in found.unfinished_uploads)
    named = {_key(job) for job in found.video_jobs.values()}
    by_uid = {job["metadata"]["uid"]: job for job in found.video_jobs.values()}
    deleted = sum(order.fate == "delete" for order in run.orders)
    strangers = set()
    for key in found.objects:
        if not (match := _OF_A_JOB.match(key)):  # known prompts, which all jobs share
            continue
        uid, attempt = match.groups()
        job = by_uid.get(uid)
        if job is None:
            strangers.add(uid)
        elif attempt == "checkpoint" and phase_of(job) == "Succeeded":
            yield f"{job['metadata']['name']} has left its checkpoint"
        elif (
            key.endswith("/video.mp4")
            and key not in named
            and attempt not in run.disturbed
            and phase_of(job) == "Succeeded"
        ):
            yield f"{key} is the second video of a job whose pod nobody had touched"
    if len(strangers) > deleted:
        yield f"the bucket holds objects of {len(strangers)} jobs that are not there, and {deleted} were deleted"


def _key(job: Manifest) -> str:
    """Return the key of the video that a job names."""
    uri: str = ((job.get("status", {}).get("artifacts") or {}).get("video") or {}).get("uri", "s3:///")
    return uri.removeprefix("s3://").partition("/")[2]


def _end_of(pod: Manifest) -> str:
    status = pod["status"]
    ends = [state["state"].get("terminated", {}) for state in status.get("containerStatuses", [])]
    return f"{status.get('reason', '')} {[(end.get('exitCode'), end.get('message', '')[-200:]) for end in ends]}"
