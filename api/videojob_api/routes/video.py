"""GET and HEAD /video: the MP4, whole or in part."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from videojob_api.delivery import deliver
from videojob_api.failures import can_fail_with
from videojob_api.routes.ids import JobId
from videojob_api.services import ServicesOf

router = APIRouter(tags=["videos"])

_FILE: dict[str, Any] = {"content": {"video/mp4": {"schema": {"type": "string", "format": "binary"}}}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {**_FILE, "description": "The video."},
    206: {**_FILE, "description": "The bytes asked for with Range."},
    304: {"description": "The client has this video already (If-None-Match)."},
    307: {"description": "The video is at the URL in Location, where the service is set to redirect."},
    **can_fail_with(404, 409, 410, 416, 503),
}


@router.get("/video/{job_id}", response_class=StreamingResponse, responses=_ANSWERS)
async def download(job_id: JobId, request: Request, services: ServicesOf) -> Response:
    """Download the video of a completed job. Answers Range, If-Range and If-None-Match."""
    return await deliver(request, services, job_id)


@router.head("/video/{job_id}", include_in_schema=False)
async def describe_download(job_id: JobId, request: Request, services: ServicesOf) -> Response:
    """Tell size and version of a video."""
    return await deliver(request, services, job_id)
