"""POST /internal/v1/urls: signed URLs of S3 for renderers. No part of the public interface, so in no document.

The gate lets it pass, because users and renderers show different tokens; who asks is decided here.
"""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from videojob.broker import PATH
from videojob_api.access.gate import CALLER, token_of
from videojob_api.bodies import read_bytes
from videojob_api.errors import Forbidden
from videojob_api.services import Served

MAX_BODY_BYTES = 64 * 1024

router = APIRouter(include_in_schema=False)


@router.post(PATH)
async def sign(request: Request) -> JSONResponse:
    """Give a pod that renders a VideoJob the URLs it needs now."""
    served: Served = request.app.state.served
    counter = served.counter
    if counter is None:
        raise Forbidden("this service signs nothing for renderers: they have keys of their own here")
    attempt = await counter.admit(token_of(request.headers.get("Authorization")))
    request.scope[CALLER] = f"{attempt.namespace}/{attempt.pod_name}"
    granted = await counter.grant(attempt, await read_bytes(request, MAX_BODY_BYTES))
    return JSONResponse(granted.dump())
