"""GET /status: where a job stands. Most requests are this one, for clients ask until their job has ended."""

from fastapi import APIRouter, Response

from videojob_api.answers import JobAnswer
from videojob_api.failures import can_fail_with
from videojob_api.routes.direct import DirectRoute
from videojob_api.routes.ids import JobId
from videojob_api.services import ServicesOf
from videojob_api.views import text_of

router = APIRouter(tags=["jobs"], route_class=DirectRoute)


@router.get("/status/{job_id}", response_model=JobAnswer, responses=can_fail_with(404, 503))
async def status(job_id: JobId, services: ServicesOf) -> Response:
    """Tell where a job stands. Ask until `status` is `completed` or `failed`."""
    record = await services.jobs.get_record(job_id)
    return Response(text_of(record, services.jobs.standing_of(record)), media_type="application/json")
