"""/v1/videos of the OpenAI protocol: create, remix."""

from fastapi import APIRouter, Request, Response

from videojob_api.creation import Placed, place
from videojob_api.failures import can_fail_in_protocol_with
from videojob_api.idempotency import REPLAYED_HEADER, repeatable
from videojob_api.openai.answers import Video
from videojob_api.openai.documents import REMIX_BODY, VIDEO_BODY
from videojob_api.openai.forms import opened_form
from videojob_api.openai.inputs import store_image, take_image
from videojob_api.openai.requests import order_in_protocol, remix
from videojob_api.openai.views import POLL_AFTER_MS, video_of
from videojob_api.routes.generate import IdempotencyKey
from videojob_api.routes.ids import JobId
from videojob_api.routes.stored_videos import POLL_HEADER
from videojob_api.services import Services, ServicesOf

router = APIRouter(prefix="/v1/videos", tags=["OpenAI"])


@router.post(
    "",
    responses=can_fail_in_protocol_with(400, 403, 409, 413, 429, 503),
    openapi_extra={"requestBody": VIDEO_BODY},
)
async def create(
    request: Request, response: Response, services: ServicesOf, _idempotency_key: IdempotencyKey = None
) -> Video:
    """Create a video. Beyond the protocol, all fields of `POST /generate` are accepted."""
    async with opened_form(request) as form:
        body, image = await take_image(form, services)
        order = order_in_protocol(body, services.settings.catalogue, form.fields)
        repeated = repeatable(request.headers, services.jobs.namespace, ["/v1/videos", body])
        if image:
            await store_image(image, services)
    return _answer(await place(services, order, repeated), services, response)


@router.post(
    "/{video_id}/remix",
    responses=can_fail_in_protocol_with(400, 403, 404, 409, 413, 429, 503),
    openapi_extra={"requestBody": REMIX_BODY},
)
async def create_remix(
    video_id: JobId,
    request: Request,
    response: Response,
    services: ServicesOf,
    _idempotency_key: IdempotencyKey = None,
) -> Video:
    """Create a video like another one, with a new prompt and the same seed. The other need not be finished."""
    async with opened_form(request) as form:
        original = await services.jobs.get(video_id)
        body, image = await take_image(form, services)
        order = remix(original, body, services.settings.catalogue, form.fields)
        repeated = repeatable(request.headers, services.jobs.namespace, [f"/v1/videos/{video_id}/remix", body])
        if image:
            await store_image(image, services)
    return _answer(await place(services, order, repeated), services, response)


def _answer(placed: Placed, services: Services, response: Response) -> Video:
    response.headers[POLL_HEADER] = str(POLL_AFTER_MS)
    if placed.replayed:
        response.headers[REPLAYED_HEADER] = "true"
    return video_of(placed.jobs[0], services.settings.catalogue, services.jobs.batch_of(placed.jobs[0]))
