"""What a client of the protocol may ask for, and the order that it makes. Pure."""

from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from videojob.catalogue import Catalogue
from videojob.names import REMIXED_FROM_ANNOTATION
from videojob_api.errors import InvalidInput
from videojob_api.generation import Body, GenerateRequest, order_of
from videojob_api.manifests import Manifest
from videojob_api.nearest import settle
from videojob_api.openai.rules import in_words_of_protocol, without_seconds_and_size
from videojob_api.orders import Order
from videojob_api.views import job_id_of, request_of

_PROMPT = "A squirrel riding a skateboard in Times Square"


class VideoRequest(GenerateRequest):
    """The protocol's fields, and all of POST /generate beside them."""

    model_config = ConfigDict(json_schema_extra={"example": {"prompt": _PROMPT, "seconds": "4", "size": "720x480"}})

    seconds: str | float | None = Field(
        None, description="Time from the first frame to the last; stands for num_frames = seconds * fps + 1."
    )
    size: str | None = Field(None, pattern=r"^\d{1,5}x\d{1,5}$", description="Stands for width and height.")


class RemixRequest(GenerateRequest):
    """A new prompt; whatever else is given replaces the original's value."""

    model_config = ConfigDict(json_schema_extra={"example": {"prompt": f"{_PROMPT}, by night"}})


class VideoQuery(BaseModel):
    """Which videos to list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: str | None = Field(None, max_length=253, description="`last_id` of the page before.")
    limit: int = Field(20, ge=1, le=100, description="At most so many videos.")
    order: Literal["asc", "desc"] = Field("desc", description="asc: oldest first; desc: newest first.")


def order_in_protocol(body: Body, catalogue: Catalogue, written: Body | None = None) -> Order:
    """Return what a body asks for.

    Args:
        body: the protocol's fields and ours, with `image` in the place of `input_reference`.
        catalogue: the models.
        written: the body as the client wrote it, in whose words a mistake is told; None = `body`.

    Raises:
        InvalidInput: a value breaks a rule.
    """
    try:
        return order_of(without_seconds_and_size(body, catalogue), catalogue)
    except InvalidInput as error:
        told = in_words_of_protocol(error, body if written is None else written)
        if told.field == "size":  # a rule speaks of one side only
            told.nearest = settle(told.nearest, lambda size: _mistake_in_size({**body, "size": size}, catalogue))
        raise told from None


def remix(original: Manifest, body: Body, catalogue: Catalogue, written: Body | None = None) -> Order:
    """Return the order of the same video with another prompt, from the same noise where its seed is known.

    Args:
        original: the VideoJob.
        body: what replaces its values, with `image` in the place of `input_reference`.
        catalogue: the models.
        written: the body as the client wrote it; None = `body`.

    Raises:
        InvalidInput: a value breaks a rule.
    """
    if body.get("prompt") is None:
        raise InvalidInput("prompt is required", field="prompt")
    replaced = {"num_frames"} if body.get("seconds") is not None else set()
    replaced |= {"width", "height"} if body.get("size") is not None else set()
    # Another model has defaults of its own.
    same_model = body.get("model") in {None, request_of(original).get("model")}
    asked = request_of(original, filled_in=same_model)
    kept: dict[str, Any] = {name: value for name, value in asked.items() if name not in replaced}
    wrote = body if written is None else written
    spoken = {name: value for name, value in kept.items() if name not in body} | wrote
    order = order_in_protocol({**kept, **body}, catalogue, spoken)
    return replace(order, annotations={REMIXED_FROM_ANNOTATION: job_id_of(original)})


def _mistake_in_size(body: Body, catalogue: Catalogue) -> InvalidInput | None:
    """Return the first mistake in a body where it is one of the size."""
    try:
        order_of(without_seconds_and_size(body, catalogue), catalogue)
    except InvalidInput as error:
        told = in_words_of_protocol(error, body)
        return told if told.field == "size" else None
    return None
