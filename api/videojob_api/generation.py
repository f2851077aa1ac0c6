"""The body of POST /generate: from bytes to an order, or to the one mistake to mend first. Pure.

The body is read here and not by FastAPI, because every mistake in it, of syntax too, is told in the error shape with
the nearest legal value. The default model's name goes into the request before it is checked: so the rules of that
model hold, the job can be listed by its model, and a later change of the default does not change a job that waits.
"""

import difflib
from collections.abc import Iterable
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from videojob.catalogue import Catalogue
from videojob.errors import VideoJobError, Violation, rule_broken, violations
from videojob.families import FAMILY_DEFAULTS
from videojob.request import MAX_SEED, VideoJobRequest
from videojob.resolve import resolve
from videojob.spec import DEFAULT_PROFILE, ProfileName, VideoJobSpec, Webhook
from videojob_api.errors import InvalidInput
from videojob_api.nearest import settle
from videojob_api.orders import MAX_COUNT, Order
from videojob_api.spelling import in_snake_case
from videojob_api.webhooks import WebhookWish

Body = dict[str, Any]

MAX_BODY_BYTES = 128 * 1024
"""Two prompts of the largest length, every character escaped as a surrogate pair, and some room."""


def _spelled_as_in_python(name: str) -> str:
    return name


class GenerateRequest(VideoJobRequest):
    """What to render, how often, and whom to tell. Everything but the prompt may be left out."""

    model_config = ConfigDict(
        alias_generator=_spelled_as_in_python,
        json_schema_extra={
            "example": {
                "prompt": "A squirrel riding a skateboard in Times Square",
                "num_frames": 49,
                "guidance_scale": 4.5,
                "seed": 42,
                "fps": 12,
            }
        },
    )

    profile: ProfileName | None = Field(DEFAULT_PROFILE, description="A runtime profile of the administrator.")
    n: Annotated[int, Field(ge=1, le=MAX_COUNT)] | None = Field(
        1, description="So many videos, with the seeds s, s+1, …; each is a job."
    )
    webhook: WebhookWish | None = Field(None, description="Gets one signed POST for each job that has ended.")

    @model_validator(mode="after")
    def _has_seeds_for_all(self) -> Self:
        last = MAX_SEED - (self.n or 1) + 1
        if self.seed is not None and self.seed > last:
            raise rule_broken("seed", f"must be at most {last} for {self.n} videos", last)
        return self


FIELDS = tuple(GenerateRequest.model_fields)


def parse_body(content_type: str, content: bytes) -> Body:
    """Return the JSON object that a body holds.

    Raises:
        InvalidInput: it holds none.
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise InvalidInput(
            "the body must be JSON: send the header Content-Type: application/json",
            field="Content-Type",
            nearest="application/json",
        )
    try:
        body = from_json(content, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidInput(f"the body is not JSON: {error}", field="body") from error
    if not isinstance(body, dict):
        raise InvalidInput("the body must be a JSON object", field="body")
    return body


def order_of(body: Body, catalogue: Catalogue) -> Order:
    """Return what a body asks for.

    Raises:
        InvalidInput: a value breaks a rule, or the model is not in the catalogue.
    """
    if body.get("model") is None:
        body = {**body, "model": catalogue.default_model}
    mistake = _first_mistake(body, catalogue)
    if mistake:
        raise _refusal(mistake, body, catalogue)
    asked = GenerateRequest.model_validate(body)
    request = VideoJobRequest.model_validate(asked.model_dump(include=set(VideoJobRequest.model_fields)))
    webhook = Webhook(url=asked.webhook.url) if asked.webhook else None
    spec = VideoJobSpec(request=request, profile=asked.profile or DEFAULT_PROFILE, webhook=webhook)
    return Order(spec, asked.n or 1)


def _first_mistake(body: Body, catalogue: Catalogue) -> Violation | VideoJobError | None:
    try:
        asked = GenerateRequest.model_validate(body)
    except ValidationError as error:
        return violations(error)[0]
    try:
        resolve(asked, catalogue)
    except VideoJobError as error:
        return error
    return None


def _refusal(mistake: Violation | VideoJobError, body: Body, catalogue: Catalogue) -> InvalidInput:
    field = mistake.field if mistake.field in body else in_snake_case(mistake.field)
    if field == "num_frames" and type(body.get(field)) is int and body["model"] in catalogue.models:
        return _wrong_frames(body, catalogue)
    sentence = in_snake_case(mistake.message)
    return InvalidInput(
        f"{field} {sentence}" if field else sentence,
        code=mistake.reason if isinstance(mistake, VideoJobError) else None,
        field=field or None,
        nearest=_nearest(field, mistake, body, catalogue),
    )


def _wrong_frames(body: Body, catalogue: Catalogue) -> InvalidInput:
    """Speak of the rule of the model's family; a request alone is held to the rule of all families."""
    rule = FAMILY_DEFAULTS[catalogue.models[body["model"]].family].frames
    message = f"num_frames must be {rule} for {body['model']}"
    return InvalidInput(message, field="num_frames", nearest=rule.nearest(body["num_frames"]))


def _nearest(field: str, mistake: Violation | VideoJobError, body: Body, catalogue: Catalogue) -> Any:
    if field == "model":
        return _closest(str(body["model"]), catalogue.models, catalogue.default_model)
    if field.partition(".")[0] not in FIELDS:
        return _closest(in_snake_case(field), FIELDS, None)
    return settle(mistake.nearest, lambda value: _first_mistake_in(field, {**body, field: value}, catalogue))


def _first_mistake_in(field: str, body: Body, catalogue: Catalogue) -> Violation | VideoJobError | None:
    """Return the first mistake in a body where it is one of this field."""
    mistake = _first_mistake(body, catalogue)
    return mistake if mistake and in_snake_case(mistake.field) == field else None


def _closest(word: str, known: Iterable[str], otherwise: str | None) -> str | None:
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)), otherwise)
