"""GET …/events: follow one job as it goes on."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from sse_starlette import EventSourceResponse

from videojob_api.events import HEARTBEAT_SECONDS, Feed
from videojob_api.failures import can_fail_with
from videojob_api.routes.ids import JobId
from videojob_api.services import ServicesOf

router = APIRouter(tags=["jobs"])

LastEventId = Annotated[
    str | None,
    Header(max_length=64, description="Id of the event that was received last; browsers send it themselves."),
]

_EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["status", "deleted"]},
        "id": {"type": "string", "description": "For `Last-Event-ID`."},
        "retry": {"type": "integer", "description": "Milliseconds to wait before asking again."},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/JobAnswer"},
            "description": "The whole state; `{}` of a job that is deleted.",
        },
    },
    "required": ["event", "data"],
}
"""One event: before OpenAPI 3.2, the schema of a stream is that of its parts."""

EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {"schema": _EVENT}},
        "description": "Events `status`, each with the whole state as JSON, until the job has ended; or `deleted`.",
    },
    204: {"description": "The job has ended, and the client knows it: browsers do not ask again."},
    **can_fail_with(404, 422, 503),
}


@router.get("/jobs/{job_id}/events", response_class=EventSourceResponse, responses=EVENTS)
async def follow(job_id: JobId, services: ServicesOf, last_event_id: LastEventId = None) -> Response:
    """Tell every change of a job as it happens: phase, progress, queue position, time to the end."""
    return await stream(services.feed, job_id, last_event_id)


async def stream(feed: Feed, job_id: str, last_event_id: str | None) -> Response:
    """Return the events of a job as an answer."""
    mark = await feed.mark(job_id)
    if mark.is_last and mark.id == last_event_id:
        return Response(status_code=204)
    return EventSourceResponse(feed.follow(job_id, mark.uid, last_event_id), ping=HEARTBEAT_SECONDS)
