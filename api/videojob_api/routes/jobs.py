"""What becomes of jobs: the list, one with its request, cancel, delete."""

import logging
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from videojob.phases import Phase
from videojob.request import ModelName
from videojob_api.answers import JobAnswer, JobList, ListedJob, StatusWord
from videojob_api.errors import JobEnded
from videojob_api.failures import can_fail_with
from videojob_api.manifests import Manifest
from videojob_api.records import Record
from videojob_api.routes.ids import JobId
from videojob_api.services import ServicesOf
from videojob_api.tokens import place_of, token_of
from videojob_api.views import (
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
    _refuse_if_ended(job)
    if not _is_cancelled(job):
        job = await services.jobs.cancel(job_id)
        _refuse_if_ended(job)  # what was known here may be older than its end
        log.info("job cancelled", extra={"job_id": job_id, "uid": uid_of(job)})
    return describe(job, services.jobs.standing(job))


@router.delete("/jobs/{job_id}", status_code=204, responses=can_fail_with(404, 503))
async def delete(job_id: JobId, services: ServicesOf) -> Response:
    """Delete a job, and end it if it runs. Its video stays in S3, but this service no longer knows it."""
    await services.jobs.delete(job_id)
    log.info("job deleted", extra={"job_id": job_id})
    return Response(status_code=204)


def _refuse_if_ended(job: Manifest) -> None:
    """Refuse unless the job is on its way, or cancelled already.

    Raises:
        JobEnded: it has a video, or has failed.
    """
    if has_ended(job) and not _is_cancelled(job):
        raise JobEnded(f"the job is {word_of(job)}: there is nothing to cancel", field="job_id")


def _is_cancelled(job: Manifest) -> bool:
    return status_of(job).get("phase") == Phase.CANCELLED
