"""Fill in the defaults of the model: the one pure function with which API and operator say what is really rendered."""

import difflib
from typing import Any, Literal

from videojob.base import Manifest
from videojob.catalogue import Adapter, Catalogue, CatalogueModel
from videojob.errors import InvalidRequest, UnknownModel
from videojob.families import FAMILY_DEFAULTS, MAX_AREA, Family
from videojob.request import VideoJobRequest


class ResolvedRequest(Manifest):
    """A request with nothing left open but the seed; handed to the renderer as JSON.

    Attributes:
        seed: None where the renderer is to draw one.
        negative_prompt: empty where the request has none.
        scheduler: None = the one that the weights come with.
        dynamic_guidance: None = no.
        adapters: to be added to the weights; None = none.
    """

    prompt: str
    negative_prompt: str = ""
    model: str
    family: Family
    source: str
    revision: str | None = None
    dtype: str
    num_frames: int
    width: int
    height: int
    fps: int
    steps: int
    guidance_scale: float
    seed: int | None = None
    image: str | None = None
    scheduler: Literal["ddim", "dpm"] | None = None
    dynamic_guidance: bool | None = None
    adapters: dict[str, Adapter] | None = None

    def values_for_status(self) -> dict[str, Any]:
        """Return what `status.resolved` shows: no prompt, no place of the weights, no seed that is not decided yet."""
        shown = {"model", "num_frames", "width", "height", "fps", "steps", "guidance_scale", "seed"}
        return self.model_dump(by_alias=True, exclude_none=True, mode="json", include=shown)


def resolve(request: VideoJobRequest, catalogue: Catalogue) -> ResolvedRequest:
    """Say what is really rendered for a request.

    Raises:
        UnknownModel: the model is not in the catalogue.
        InvalidRequest: a value breaks a rule of the model's family.
    """
    name = request.model or catalogue.default_model
    model = _find(name, catalogue)
    values = _with_defaults(request, model)
    _check(name, model, values, request)
    return ResolvedRequest(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt or "",
        model=name,
        family=model.family,
        source=model.source,
        revision=model.revision,
        dtype=model.dtype or FAMILY_DEFAULTS[model.family].dtype,
        seed=request.seed,
        image=request.image,
        scheduler=model.scheduler,
        dynamic_guidance=model.dynamic_guidance or None,
        adapters=model.adapters or None,
        **values,
    )


def _find(name: str, catalogue: Catalogue) -> CatalogueModel:
    try:
        return catalogue.models[name]
    except KeyError:
        known = sorted(catalogue.models)
        close = difflib.get_close_matches(name, known, n=1, cutoff=0)
        message = f"{name!r} is not in the model catalogue; known are {', '.join(known)}"
        raise UnknownModel(message, field="model", nearest=close[0] if close else catalogue.default_model) from None


def _with_defaults(request: VideoJobRequest, model: CatalogueModel) -> dict[str, Any]:
    """The request's own value, else the catalogue's, else the family's."""
    family = FAMILY_DEFAULTS[model.family]
    values = {}
    for field in ("num_frames", "width", "height", "fps", "steps", "guidance_scale"):
        chosen = getattr(request, field)
        if chosen is None:
            chosen = getattr(model.defaults, field)
        values[field] = getattr(family, field) if chosen is None else chosen
    return values


def _check(name: str, model: CatalogueModel, values: dict[str, Any], request: VideoJobRequest) -> None:
    """The rules that need the catalogue; all others hold already."""
    rule = FAMILY_DEFAULTS[model.family].frames
    if not rule.allows(values["num_frames"]):
        nearest = rule.nearest(values["num_frames"])
        raise InvalidRequest(f"must be {rule} for {name}", field="numFrames", nearest=nearest)
    _check_size(name, model, values["width"], values["height"])
    if request.negative_prompt and values["guidance_scale"] <= 1:
        raise InvalidRequest("has no effect unless guidanceScale is greater than 1", field="negativePrompt")
    if model.family.takes_image and request.image is None:
        raise InvalidRequest(f"is required by {name}", field="image")
    if request.image is not None and not model.family.takes_image:
        raise InvalidRequest(f"is not used by {name}, which is no image-to-video model", field="image")


def _check_size(name: str, model: CatalogueModel, width: int, height: int) -> None:
    if width * height > MAX_AREA:
        raise InvalidRequest(f"width times height must be at most {MAX_AREA} pixels", field="height")
    if not model.sizes or f"{width}x{height}" in model.sizes:
        return
    sizes = [tuple(map(int, size.split("x"))) for size in model.sizes]
    near_width, near_height = min(sizes, key=lambda size: abs(size[0] - width) + abs(size[1] - height))
    field, nearest = ("width", near_width) if width != near_width else ("height", near_height)
    raise InvalidRequest(f"{name} renders only {', '.join(model.sizes)}", field=field, nearest=nearest)
