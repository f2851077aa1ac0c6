"""POST /generate: ask for a video."""

import logging
from datetime import UTC, datetime

from fastapi import APIRouter, Request

from videojob.names import new_name
from videojob.spec import VideoJobSpec
from videojob_api.answers import Accepted
from videojob_api.errors import BodyTooLarge, NameTaken
from videojob_api.failures import can_fail_with
from videojob_api.generation import MAX_BODY_BYTES, GenerateRequest, parse_body, spec_of
from videojob_api.services import Services, ServicesOf
from videojob_api.views import Manifest, job_id_of, uid_of, word_of

log = logging.getLogger(__name__)

router = APIRouter(tags=["videos"])

_NAME_TRIES = 5
_BODY = {"required": True, "content": {"application/json": {"schema": GenerateRequest.model_json_schema()}}}


@router.post("/generate", responses=can_fail_with(403, 413, 422, 429, 503), openapi_extra={"requestBody": _BODY})
async def generate(request: Request, services: ServicesOf) -> Accepted:
    """Create a job that renders a video. What the body leaves out is taken from the model's defaults."""
    body = parse_body(request.headers.get("content-type", ""), await _read(request))
    job = await _create(services, spec_of(body, services.settings.catalogue))
    log.info("job created", extra={"job_id": job_id_of(job), "uid": uid_of(job)})
    return Accepted(job_id=job_id_of(job), status=word_of(job))


async def _read(request: Request) -> bytes:
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > MAX_BODY_BYTES:
            raise BodyTooLarge(f"the body must have at most {MAX_BODY_BYTES} bytes", field="body")
    return bytes(content)


async def _create(services: Services, spec: VideoJobSpec) -> Manifest:
    """Create the VideoJob, under another name when the first is taken: two clients may draw the same one."""
    manifest = spec.dump()
    for _ in range(_NAME_TRIES - 1):
        try:
            return await services.jobs.create(new_name(datetime.now(UTC), services.random), manifest)
        except NameTaken:
            continue
    return await services.jobs.create(new_name(datetime.now(UTC), services.random), manifest)
