"""Whether all went well: what chaos asks of any run, and what a drill knows beyond that. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bench.chaos import verdict
from bench.chaos.findings import Findings, Manifest
from bench.outage import jobs
from bench.outage.jobs import Kind
from tests.support.receiver import Received


class Done(Protocol):
    """What was done.

    Attributes:
        names: kind -> name of its VideoJob.
        disturbed: pods whose renderer was killed.
    """

    names: dict[Kind, str]
    disturbed: set[str]


@dataclass(frozen=True)
class Before:
    """What there was before the outage.

    Attributes:
        job_uids: of Kubernetes' own Jobs, by name.
        told: how many webhooks had been delivered.
    """

    job_uids: Mapping[str, str]
    told: int


def judge(before: Before, found: Findings, done: Done, received: Sequence[Received]) -> list[str]:
    """Return what went wrong, in sentences; nothing: all went well."""
    kinds = list(done.names)
    run = verdict.Run(
        orders=[kind.order for kind in kinds],
        placed={number: done.names[kind] for number, kind in enumerate(kinds)},
        disturbed=done.disturbed,
    )
    return [
        *verdict.judge(run, found),
        *_each_job_is_the_one_from_before(before, found),
        *_each_job_took_as_many_pods_as_it_must(done, found),
        *_the_render_that_was_killed_went_on(done, found),
        *_each_receiver_was_told_of_its_own(before, done, received),
    ]


def figures(found: Findings, done: Done, told_after: Sequence[Received]) -> dict[str, Any]:
    """Count what happened."""
    statuses = {kind.name: _status(found, done, kind) for kind in jobs.ALL}
    return {
        "attempts": {name: status.get("attempts", 0) for name, status in statuses.items()},
        "resumed_from_step": statuses[jobs.DIES.name].get("renderer", {}).get("resumedFromStep"),
        "webhooks_after_the_return": len(told_after),
        "same_bytes_killed_or_not": len({found.videos.get(done.names[kind]) for kind in (jobs.ENDS, jobs.DIES)}) == 1,
    }


def _each_job_is_the_one_from_before(before: Before, found: Findings) -> Iterator[str]:
    now = {job["metadata"]["name"]: job["metadata"]["uid"] for job in found.jobs}
    if now != before.job_uids:
        yield f"the Jobs are other ones than before the outage: {len(now)}, and {len(before.job_uids)} before"


def _each_job_took_as_many_pods_as_it_must(done: Done, found: Findings) -> Iterator[str]:
    for kind in jobs.ALL:
        attempts = _status(found, done, kind).get("attempts")
        if attempts != kind.attempts:
            yield f"{kind.name} took {attempts} pods, not {kind.attempts}"


def _the_render_that_was_killed_went_on(done: Done, found: Findings) -> Iterator[str]:
    if not _status(found, done, jobs.DIES).get("renderer", {}).get("resumedFromStep"):
        yield "the render that was killed began anew, though its checkpoint was there"


def _each_receiver_was_told_of_its_own(before: Before, done: Done, received: Sequence[Received]) -> Iterator[str]:
    if before.told != 1:
        yield f"{before.told} webhooks were delivered before the outage, not 1"
    after = Counter(each.headers["webhook-id"] for each in received[before.told :])
    if len(after) != 1:
        yield f"webhooks of {len(after)} jobs were delivered after the outage, not of the one that had ended meanwhile"
    if after.keys() & {each.headers["webhook-id"] for each in received[: before.told]}:
        yield "a receiver was told again of what it knew"
    name = done.names[jobs.ENDS].encode()
    if not all(name in each.body for each in received[before.told :]):
        yield "a webhook after the outage tells of another job than the one that had ended meanwhile"


def _status(found: Findings, done: Done, kind: Kind) -> Manifest:
    status: Manifest = found.video_jobs.get(done.names[kind], {}).get("status", {})
    return status
