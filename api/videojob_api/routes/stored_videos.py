"""/v1/videos of the OpenAI protocol: retrieve, list, follow, delete, content; and the models there are."""

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from sse_starlette import EventSourceResponse

from videojob_api.cache import Place
from videojob_api.delivery import Variant, deliver
from videojob_api.errors import InvalidInput, UnknownJob
from videojob_api.failures import can_fail_in_protocol_with
from videojob_api.openai.answers import Model, ModelPage, Video, VideoDeleted, VideoPage
from videojob_api.openai.requests import VideoQuery
from videojob_api.openai.views import POLL_AFTER_MS, video_of
from videojob_api.routes.direct import DirectRoute
from videojob_api.routes.events import EVENTS, LastEventId, stream
from videojob_api.routes.ids import JobId, legal_id
from videojob_api.services import Services, ServicesOf

log = logging.getLogger(__name__)

POLL_HEADER = "openai-poll-after-ms"

router = APIRouter(prefix="/v1", tags=["OpenAI"])

_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_FILE: dict[str, Any] = {"content": {"video/mp4": _BYTES, "image/jpeg": _BYTES}}
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {**_FILE, "description": "The file."},
    206: {**_FILE, "description": "The bytes asked for with Range."},
    304: {"description": "The client has this file already (If-None-Match)."},
    307: {"description": "The file is at the URL in Location, where the service is set to redirect."},
    **can_fail_in_protocol_with(400, 404, 409, 410, 416, 503),
}
_EVENTS: dict[int | str, dict[str, Any]] = {
    **{status: told for status, told in EVENTS.items() if status in {200, 204}},
    **can_fail_in_protocol_with(400, 404, 503),
}


VariantOf = Annotated[Variant, Query(description="The MP4, its middle frame, or many small frames in one image.")]


async def retrieve(video_id: JobId, services: ServicesOf) -> Response:
    """Tell where a video stands. A failed one is no error of this call: `status` says so, `error` says why."""
    job = await services.jobs.get(video_id)
    video = video_of(job, services.settings.catalogue, services.jobs.batch_of(job))
    return Response(video.model_dump_json(), headers={POLL_HEADER: str(POLL_AFTER_MS)}, media_type="application/json")


router.add_api_route(
    "/videos/{video_id}",
    retrieve,
    response_model=Video,
    responses=can_fail_in_protocol_with(404, 503),
    route_class_override=DirectRoute,
)


@router.get("/videos", responses=can_fail_in_protocol_with(400, 503))
async def list_videos(query: Annotated[VideoQuery, Query()], services: ServicesOf) -> VideoPage:
    """List videos by age, the newest first unless asked otherwise. `after` may have been deleted since."""
    after = None if query.after is None else await _place_of(query.after, services)
    listed = await services.jobs.list(lambda _: True, query.limit, after, newest_first=query.order == "desc")
    videos = [video_of(job, services.settings.catalogue, services.jobs.batch_of(job)) for job in listed.jobs]
    return VideoPage(
        data=videos,
        has_more=listed.rest is not None,
        first_id=videos[0].id if videos else None,
        last_id=videos[-1].id if videos else None,
    )


@router.delete("/videos/{video_id}", responses=can_fail_in_protocol_with(404, 503))
async def delete(video_id: JobId, services: ServicesOf) -> VideoDeleted:
    """Delete a video, and end its rendering if it is under way."""
    await services.jobs.delete(video_id)
    log.info("job deleted", extra={"job_id": video_id})
    return VideoDeleted(id=video_id)


@router.get("/videos/{video_id}/content", response_class=StreamingResponse, responses=_CONTENT)
async def content(
    video_id: JobId, request: Request, services: ServicesOf, variant: VariantOf = Variant.VIDEO
) -> Response:
    """Download a file of a completed video. Answers Range, If-Range and If-None-Match."""
    return await deliver(request, services, video_id, variant)


@router.head("/videos/{video_id}/content", include_in_schema=False)
async def describe_content(
    video_id: JobId, request: Request, services: ServicesOf, variant: VariantOf = Variant.VIDEO
) -> Response:
    """Tell size and version of a file."""
    return await deliver(request, services, video_id, variant)


@router.get("/videos/{video_id}/events", response_class=EventSourceResponse, responses=_EVENTS)
async def follow(video_id: JobId, services: ServicesOf, last_event_id: LastEventId = None) -> Response:
    """Tell every change of a video as it happens, in the words of `GET /status/{job_id}`. Beyond the protocol."""
    return await stream(services.feed, video_id, last_event_id)


@router.get("/models", responses=can_fail_in_protocol_with(503))
async def models(services: ServicesOf) -> ModelPage:
    """List the models of the installation, the default first."""
    catalogue = services.settings.catalogue
    names = sorted(catalogue.models, key=lambda name: (name != catalogue.default_model, name))
    return ModelPage(data=[Model(id=name) for name in names])


async def _place_of(video_id: str, services: Services) -> Place:
    try:
        return await services.jobs.place_of(legal_id(video_id))
    except UnknownJob:
        message = "after is not the id of a video, or of one that was deleted too long ago"
        raise InvalidInput(message, field="after") from None
