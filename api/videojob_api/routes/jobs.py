"""What becomes of jobs: their status, the list, cancel, delete."""

import logging
import re
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from videojob.names import MAX_NAME_LENGTH, NAME_PATTERN
from videojob.phases import Phase
from videojob.request import ModelName
from videojob_api.answers import JobAnswer, JobList, ListedJob, StatusWord
from videojob_api.errors import JobEnded
from videojob_api.failures import can_fail_with
from videojob_api.records import Record
from videojob_api.refusals import unknown_job
from videojob_api.services import ServicesOf
from videojob_api.tokens import place_of, token_of
from videojob_api.views import (
    Manifest,
    describe,
    describe_listed,
    has_ended,
    status_of,
    uid_of,
    word_of,
    word_of_phase,
)

log = logging.getLogger(__name__)

router = APIRouter(tags=["jobs"])


class ListQuery(BaseModel):
    """Which jobs to list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: StatusWord | None = Field(None, description="Only jobs with this status.")
    model: ModelName | None = Field(None, description="Only jobs of this model.")
    order: Literal["asc", "desc"] = Field("asc", description="asc: oldest first; desc: newest first.")
    limit: int = Field(50, ge=1, le=500, description="At most so many jobs; there may be fewer on a page.")
    continue_: str | None = Field(None, alias="continue", max_length=4096, description="`continue` of the page before.")

    def wants(self, record: Record) -> bool:
        """Tell whether the filters let a job pass."""
        if self.status is not None and word_of_phase(record.phase) != self.status:
            return False
        return self.model is None or record.model == self.model


def legal_id(job_id: str) -> str:
    """Return an id that a VideoJob can have; any other can stand for no job.

    Raises:
        UnknownJob: no job is called like this.
    """
    if len(job_id) > MAX_NAME_LENGTH or not re.fullmatch(NAME_PATTERN, job_id):
        raise unknown_job(job_id)
    return job_id


JobId = Annotated[str, AfterValidator(legal_id)]
"""A route's parameter of this type is the id in its path."""


@router.get("/status/{job_id}", responses=can_fail_with(404, 503))
async def status(job_id: JobId, services: ServicesOf) -> JobAnswer:
    """Tell where a job stands. Ask until `status` is `completed` or `failed`."""
    job = await services.jobs.get(job_id)
    return describe(job, services.jobs.standing(job))


@router.get("/jobs", responses=can_fail_with(422, 503))
async def list_jobs(query: Annotated[ListQuery, Query()], services: ServicesOf) -> JobList:
    """List jobs by age. `continue` of the answer gives the next page."""
    after = None if query.continue_ is None else place_of(query.continue_)
    listed = await services.jobs.list(query.wants, query.limit, after, newest_first=query.order == "desc")
    return JobList(
        jobs=[describe_listed(job, services.jobs.standing(job)) for job in listed.jobs],
        continue_=token_of(listed.rest) if listed.rest else None,
    )


@router.get("/jobs/{job_id}", responses=can_fail_with(404, 503))
async def job(job_id: JobId, services: ServicesOf) -> ListedJob:
    """Tell where a job stands and what was asked for."""
    job = await services.jobs.get(job_id)
    return describe_listed(job, services.jobs.standing(job))


@router.post("/jobs/{job_id}/cancel", responses=can_fail_with(404, 409, 503))
async def cancel(job_id: JobId, services: ServicesOf) -> JobAnswer:
    """Cancel a job and free its GPU; for good. A second call changes nothing."""
    job = await services.jobs.get(job_id)
    if not _is_cancelled(job):
        if has_ended(job):
            raise JobEnded(f"the job is {word_of(job)}: there is nothing to cancel", field="job_id")
        job = await services.jobs.cancel(job_id)
        log.info("job cancelled", extra={"job_id": job_id, "uid": uid_of(job)})
    return describe(job, services.jobs.standing(job))


@router.delete("/jobs/{job_id}", status_code=204, responses=can_fail_with(404, 503))
async def delete(job_id: JobId, services: ServicesOf) -> Response:
    """Delete a job, and end it if it runs. Its video stays in S3, but this service no longer knows it."""
    await services.jobs.delete(job_id)
    log.info("job deleted", extra={"job_id": job_id})
    return Response(status_code=204)


def _is_cancelled(job: Manifest) -> bool:
    return status_of(job).get("phase") == Phase.CANCELLED
