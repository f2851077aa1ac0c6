"""Hand out a file of a finished job: streamed from S3 in constant memory, or by redirection to a presigned URL.

Both answer conditional requests and HEAD themselves; a redirection leaves Range to S3, for the client repeats its
headers there. File names come from the job's name, which is a DNS label: nothing in them needs quoting.
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import PurePosixPath

from fastapi import Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from videojob.names import artifact_key
from videojob_api.errors import VideoGone, VideoNotReady
from videojob_api.manifests import Manifest
from videojob_api.ranges import Span, is_unchanged, span_asked_for
from videojob_api.services import Services
from videojob_api.settings import Delivery
from videojob_api.storage import StoredFile, key_of
from videojob_api.views import folder_uid_of, status_of, word_of

MEDIA_TYPES = {".mp4": "video/mp4", ".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
"""Of the files that renderers make. Nothing else is ever declared, whatever S3 says: a browser would believe it."""

_OTHER = "application/octet-stream"


class Variant(StrEnum):
    """Which file of a job."""

    VIDEO = "video"  # the MP4
    THUMBNAIL = "thumbnail"  # its middle frame
    SPRITESHEET = "spritesheet"  # many small frames in one image


async def deliver(request: Request, services: Services, job_id: str, variant: Variant = Variant.VIDEO) -> Response:
    """Answer GET or HEAD for a file of a job.

    Raises:
        VideoNotReady: the job has no video, not yet or never.
        VideoGone: the file is not in S3, or never was.
        RangeNotSatisfiable: it has none of the bytes asked for.
    """
    file = await _find(services, job_id, variant)
    if is_unchanged(request.headers, file.etag):
        return Response(status_code=304, headers={"ETag": file.etag})
    media_type, name = _media_type_of(file.key), _name_of(job_id, variant, file.key)
    if request.method == "HEAD":
        return Response(headers=_headers(name, file, None), media_type=media_type)
    if services.settings.delivery is Delivery.REDIRECT:
        seconds = services.settings.presigned_seconds
        url = services.storage.presigned_url(file.key, seconds, media_type, _disposition(name))
        return RedirectResponse(url, 307, headers={"Cache-Control": "no-store"})
    span = span_asked_for(request.headers, file.size_bytes, file.etag)
    pieces = await services.storage.read(file, span)
    return StreamingResponse(pieces, 206 if span else 200, _headers(name, file, span), media_type)


async def _find(services: Services, job_id: str, variant: Variant) -> StoredFile:
    job = await services.jobs.get(job_id)
    if word_of(job) != "completed":
        # Another replica may have told the client already: ask before refusing.
        job = await services.jobs.get_newest(job_id)
    _require_completed(job)
    uri = ((status_of(job).get("artifacts") or {}).get(variant) or {}).get("uri", "")
    folder = artifact_key(services.settings.prefix, services.jobs.namespace, folder_uid_of(job), "", "")
    key = key_of(uri, services.storage.bucket, folder)
    if key is None:
        raise VideoGone(f"the job's record names no {variant} in this service's bucket", field="job_id")
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


def _media_type_of(key: str) -> str:
    return MEDIA_TYPES.get(PurePosixPath(key).suffix, _OTHER)


def _name_of(job_id: str, variant: Variant, key: str) -> str:
    suffix = PurePosixPath(key).suffix
    known = suffix if suffix in MEDIA_TYPES else ".bin"
    return f"{job_id}{known}" if variant is Variant.VIDEO else f"{job_id}-{variant}{known}"


def _disposition(name: str) -> str:
    return f'inline; filename="{name}"'


def _headers(name: str, file: StoredFile, span: Span | None) -> Mapping[str, str]:
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": _disposition(name),
        "Content-Length": str(span.length if span else file.size_bytes),
        "ETag": file.etag,
    }
    return headers | ({"Content-Range": span.content_range} if span else {})
