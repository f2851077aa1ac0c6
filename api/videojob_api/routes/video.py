"""GET and HEAD /video: the MP4, whole or in part, straight from S3."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from videojob.names import artifact_key
from videojob_api.errors import VideoGone, VideoNotReady
from videojob_api.failures import can_fail_with
from videojob_api.ranges import Span, is_unchanged, span_asked_for
from videojob_api.routes.jobs import JobId
from videojob_api.services import Services, ServicesOf
from videojob_api.storage import StoredVideo, key_of
from videojob_api.views import Manifest, status_of, uid_of, word_of

router = APIRouter(tags=["videos"])

_MP4 = "video/mp4"
_FILE: dict[str, Any] = {"content": {_MP4: {"schema": {"type": "string", "format": "binary"}}}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {**_FILE, "description": "The video."},
    206: {**_FILE, "description": "The bytes asked for with Range."},
    304: {"description": "The client has this video already (If-None-Match)."},
    **can_fail_with(404, 409, 410, 416, 503),
}


@router.get("/video/{job_id}", response_class=StreamingResponse, responses=_ANSWERS)
async def download(job_id: JobId, request: Request, services: ServicesOf) -> Response:
    """Download the video of a completed job. Answers Range, If-Range and If-None-Match."""
    video = await _find(job_id, services)
    if is_unchanged(request.headers, video.etag):
        return Response(status_code=304, headers={"ETag": video.etag})
    span = span_asked_for(request.headers, video.size_bytes, video.etag)
    pieces = await services.storage.read(video, span)
    return StreamingResponse(pieces, 206 if span else 200, _headers(job_id, video, span), _MP4)


@router.head("/video/{job_id}", include_in_schema=False)
async def describe_download(job_id: JobId, request: Request, services: ServicesOf) -> Response:
    """Tell size and version of a video."""
    video = await _find(job_id, services)
    if is_unchanged(request.headers, video.etag):
        return Response(status_code=304, headers={"ETag": video.etag})
    return Response(headers=_headers(job_id, video, None), media_type=_MP4)


async def _find(job_id: str, services: Services) -> StoredVideo:
    job = await services.jobs.get(job_id)
    if word_of(job) != "completed":
        # Another replica may have told the client already: ask before refusing.
        job = await services.jobs.get_newest(job_id)
    _require_completed(job)
    uri = ((status_of(job).get("artifacts") or {}).get("video") or {}).get("uri", "")
    folder = artifact_key(services.settings.prefix, services.jobs.namespace, uid_of(job), "", "")
    key = key_of(uri, services.storage.bucket, folder)
    if key is None:
        raise VideoGone("the job's record names no video of this service's bucket", field="job_id")
    return await services.storage.find(key)


def _require_completed(job: Manifest) -> None:
    """Refuse unless there is a video.

    Raises:
        VideoNotReady: with the status, or with the reason for which there never will be one.
    """
    word, status = word_of(job), status_of(job)
    if word == "failed":
        reason = status.get("reason") or "failed"
        raise VideoNotReady(f"the job has failed: {status.get('message') or reason}", code=reason, field="job_id")
    if word != "completed":
        percent = (status.get("progress") or {}).get("percent")
        done = "" if percent is None else f", {percent} %"
        raise VideoNotReady(f"the job is {word} ({status.get('phase') or 'Pending'}{done})", field="job_id")


def _headers(job_id: str, video: StoredVideo, span: Span | None) -> Mapping[str, str]:
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'inline; filename="{job_id}.mp4"',
        "Content-Length": str(span.length if span else video.size_bytes),
        "ETag": video.etag,
    }
    return headers | ({"Content-Range": span.content_range} if span else {})
