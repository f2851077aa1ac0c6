"""POST /generate: ask for a video."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from videojob_api.answers import Accepted, AcceptedJob
from videojob_api.bodies import read_bytes
from videojob_api.creation import Placed, place
from videojob_api.failures import can_fail_with
from videojob_api.generation import MAX_BODY_BYTES, GenerateRequest, order_of, parse_body
from videojob_api.idempotency import HEADER, REPLAYED_HEADER, repeatable
from videojob_api.services import ServicesOf
from videojob_api.views import job_id_of, word_of

router = APIRouter(tags=["videos"])

_BODY = {"required": True, "content": {"application/json": {"schema": GenerateRequest.model_json_schema()}}}

IdempotencyKey = Annotated[
    str | None,
    Header(alias=HEADER, description="A request that is repeated with its key gives the same job. Any text of yours."),
]
"""Told in the OpenAPI document; read by `repeatable`."""


@router.post(
    "/generate",
    responses=can_fail_with(403, 409, 413, 422, 429, 503),
    response_model_exclude_none=True,
    openapi_extra={"requestBody": _BODY},
)
async def generate(
    request: Request, response: Response, services: ServicesOf, _idempotency_key: IdempotencyKey = None
) -> Accepted:
    """Create a job that renders a video. What the body leaves out is taken from the model's defaults."""
    body = parse_body(request.headers.get("content-type", ""), await read_bytes(request, MAX_BODY_BYTES))
    order = order_of(body, services.settings.catalogue)
    repeated = repeatable(request.headers, services.jobs.namespace, ["/generate", body])
    placed = await place(services, order, repeated)
    if placed.replayed:
        response.headers[REPLAYED_HEADER] = "true"
    return _accepted(placed)


def _accepted(placed: Placed) -> Accepted:
    first, *more = placed.jobs
    each = [
        AcceptedJob(job_id=job_id_of(job), status=word_of(job), seed=job["spec"]["request"]["seed"])
        for job in (first, *more)
        if more
    ]
    return Accepted(job_id=job_id_of(first), status=word_of(first), jobs=each or None)
