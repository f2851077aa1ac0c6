"""From an order to its VideoJobs: under names nobody has, or under the names that an Idempotency-Key decides.

Either all jobs of an order are created, or the answer is an error. What was created before the error is taken back;
with an Idempotency-Key it stays, because the repetition finds it and creates the rest.
"""

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from videojob import tracing
from videojob.names import BATCH_LABEL, REQUEST_DIGEST_ANNOTATION, new_name
from videojob_api import logs
from videojob_api.errors import (
    ApiError,
    IdempotencyKeyReused,
    JobRejected,
    NameTaken,
    QuotaExceeded,
    UnknownJob,
)
from videojob_api.idempotency import Repeatable
from videojob_api.manifests import Manifest
from videojob_api.orders import Order, name_in_batch
from videojob_api.services import Services
from videojob_api.views import job_id_of, uid_of

log = logging.getLogger(__name__)

_NAME_TRIES = 5


@dataclass(frozen=True, slots=True)
class Placed:
    """The VideoJobs of an order.

    Attributes:
        jobs: in the order of their seeds.
        replayed: all of them were there already.
    """

    jobs: tuple[Manifest, ...]
    replayed: bool


async def place(services: Services, order: Order, repeated: Repeatable | None) -> Placed:
    """Create the VideoJobs of an order, or find them where it was placed before.

    Raises:
        IdempotencyKeyReused: another request was made with the key.
        ApiError: the cluster refuses a job, or does not answer.
    """
    return await (_place_again(services, order, repeated) if repeated else _place_new(services, order))


async def _place_new(services: Services, order: Order) -> Placed:
    first = await _create_under_free_name(services, order)
    jobs = [first]
    name = job_id_of(first)
    try:
        for number in range(1, order.count):
            jobs.append(await _create(services, order, name, number, {}))  # noqa: PERF401 - what is done counts
    except ApiError:
        await _take_back(services, jobs)
        raise
    return Placed(tuple(jobs), replayed=False)


async def _place_again(services: Services, order: Order, repeated: Repeatable) -> Placed:
    """Create what is not there yet, the first job first: on it two different requests under one key meet."""
    found = [await _create_or_find(services, order, repeated, number) for number in range(order.count)]
    return Placed(tuple(job for job, _ in found), replayed=not any(is_new for _, is_new in found))


async def _create_under_free_name(services: Services, order: Order) -> Manifest:
    """Create the first VideoJob, under another name when one is taken: two clients may draw the same one."""
    for _ in range(_NAME_TRIES - 1):
        with contextlib.suppress(NameTaken):
            return await _create(services, order, _free_name(services), 0, {})
    return await _create(services, order, _free_name(services), 0, {})


async def _create_or_find(services: Services, order: Order, repeated: Repeatable, number: int) -> tuple[Manifest, bool]:
    """Return the VideoJob, and whether it is new.

    It looks before it creates: a quota is charged for a create whose name is taken, and not paid back for minutes.
    """
    digest = {REQUEST_DIGEST_ANNOTATION: repeated.digest}
    for _ in range(_NAME_TRIES):
        with contextlib.suppress(UnknownJob):
            return await _find(services, repeated, number), False
        try:
            return await _create(services, order, repeated.name, number, digest), True
        except NameTaken:  # an equal request was faster
            continue
        except (QuotaExceeded, JobRejected):  # these are asked before names: an equal request may have been faster
            with contextlib.suppress(UnknownJob):
                return await _find(services, repeated, number), False
            raise
    raise NameTaken("the job of this Idempotency-Key comes and goes")


async def _find(services: Services, repeated: Repeatable, number: int) -> Manifest:
    job = await services.jobs.get_live(name_in_batch(repeated.name, number))
    known = (job["metadata"].get("annotations") or {}).get(REQUEST_DIGEST_ANNOTATION)
    if known != repeated.digest:
        raise IdempotencyKeyReused(
            "another request was made with this Idempotency-Key; use a new key for a new request"
        )
    log.info("job found again", extra={"job_id": job_id_of(job), "uid": uid_of(job)})
    return job


async def _create(
    services: Services, order: Order, first_name: str, number: int, annotations: Mapping[str, str]
) -> Manifest:
    job = await services.jobs.create(
        name_in_batch(first_name, number),
        order.spec_of(first_name, number).dump(),
        labels={BATCH_LABEL: first_name} if order.count > 1 else {},
        annotations={**order.annotations, **annotations, **_trace()},
    )
    log.info("job created", extra={"job_id": job_id_of(job), "uid": uid_of(job)})
    return job


def _trace() -> Mapping[str, str]:
    """The annotation that takes the caller's trace on to the renderer."""
    traced = logs.traceparent.get()
    return {tracing.ANNOTATION: traced} if traced else {}


async def _take_back(services: Services, jobs: list[Manifest]) -> None:
    for job in jobs:
        with contextlib.suppress(ApiError):
            await services.jobs.delete(job_id_of(job))
            log.info("job deleted", extra={"job_id": job_id_of(job)})


def _free_name(services: Services) -> str:
    return new_name(datetime.now(UTC), services.random)
