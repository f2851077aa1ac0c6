"""What each model of the catalogue can render: for forms that only let legal values pass. Pure."""

from typing import Any

from pydantic import Field

from videojob.catalogue import Catalogue, CatalogueModel
from videojob.families import FAMILY_DEFAULTS, FIXED_SIZE_MODELS, MAX_AREA, SIZE_MULTIPLE
from videojob.request import MAX_PROMPT_LENGTH, MAX_SEED, MAX_SIDE, MIN_SIDE, VideoJobRequest
from videojob_api.answers import Answer, example
from videojob_api.openai.images import MAX_IMAGE_BYTES, MEDIA_TYPES


class Range(Answer):
    """The legal values of a number, ends included."""

    minimum: float
    maximum: float


class FrameCounts(Answer):
    """The legal frame counts: `minimum`, then every `step` up to `maximum`."""

    minimum: int
    maximum: int
    step: int


class SizeLimits(Answer):
    """The legal width and height of a model that names no sizes."""

    minimum: int
    maximum: int
    multiple: int
    max_area: int = Field(description="Width times height.")


class SeedLimits(Answer):
    """The legal seeds."""

    minimum: int
    maximum: str = Field(description="As text: it has more digits than a number of JavaScript keeps.")


class PromptLimits(Answer):
    """The legal length of a prompt, in characters."""

    maximum_length: int


class ImageLimits(Answer):
    """The legal first frames: files that `POST /v1/videos` takes as `input_reference`."""

    maximum_bytes: int
    media_types: list[str]


class Limits(Answer):
    """What holds for all models."""

    prompt: PromptLimits
    image: ImageLimits
    size: SizeLimits
    seed: SeedLimits
    steps: Range
    guidance_scale: Range
    fps: Range


class ModelDefaultValues(Answer):
    """What a request gets that leaves a value out."""

    num_frames: int
    width: int
    height: int
    fps: int
    steps: int
    guidance_scale: float


class OfferedModel(Answer):
    """One model of the catalogue."""

    name: str
    takes_image: bool = Field(description="A request needs an input image.")
    frames: FrameCounts
    sizes: list[str] = Field(description="The only legal sizes; empty: any size within the limits.")
    defaults: ModelDefaultValues


_EXAMPLE = {
    "default_model": "CogVideoX-2b",
    "models": [
        {
            "name": "CogVideoX-2b",
            "takes_image": False,
            "frames": {"minimum": 9, "maximum": 49, "step": 8},
            "sizes": ["720x480"],
            "defaults": {
                "num_frames": 49,
                "width": 720,
                "height": 480,
                "fps": 8,
                "steps": 50,
                "guidance_scale": 6.0,
            },
        }
    ],
    "limits": {
        "prompt": {"maximum_length": 4096},
        "image": {"maximum_bytes": 8388608, "media_types": ["image/png", "image/jpeg", "image/webp"]},
        "size": {"minimum": 64, "maximum": 1360, "multiple": 16, "max_area": 1044480},
        "seed": {"minimum": 0, "maximum": "9223372036854775807"},
        "steps": {"minimum": 1, "maximum": 200},
        "guidance_scale": {"minimum": 0, "maximum": 30},
        "fps": {"minimum": 1, "maximum": 60},
    },
}


class Offer(Answer):
    """All models, and the limits that hold for all of them."""

    model_config = example(**_EXAMPLE)

    default_model: str
    models: list[OfferedModel]
    limits: Limits


def offer_of(catalogue: Catalogue) -> Offer:
    """Tell the legal values and the defaults of every model."""
    return Offer(
        default_model=catalogue.default_model,
        models=[_offered(name, model) for name, model in catalogue.models.items()],
        limits=Limits(
            prompt=PromptLimits(maximum_length=MAX_PROMPT_LENGTH),
            image=ImageLimits(maximum_bytes=MAX_IMAGE_BYTES, media_types=list(MEDIA_TYPES)),
            size=SizeLimits(minimum=MIN_SIDE, maximum=MAX_SIDE, multiple=SIZE_MULTIPLE, max_area=MAX_AREA),
            seed=SeedLimits(minimum=0, maximum=str(MAX_SEED)),
            steps=_range_of("steps"),
            guidance_scale=_range_of("guidanceScale"),
            fps=_range_of("fps"),
        ),
    )


def _offered(name: str, model: CatalogueModel) -> OfferedModel:
    family = FAMILY_DEFAULTS[model.family]
    fields = ModelDefaultValues.model_fields
    own = {field: getattr(model.defaults, field) for field in fields}
    return OfferedModel(
        name=name,
        takes_image=model.family.takes_image,
        frames=FrameCounts(minimum=family.frames.minimum, maximum=family.frames.maximum, step=family.frames.step),
        sizes=list(model.sizes) or (["720x480"] if name in FIXED_SIZE_MODELS else []),
        defaults=ModelDefaultValues(
            **{field: getattr(family, field) if value is None else value for field, value in own.items()}
        ),
    )


def _range_of(field: str) -> Range:
    """Read the bounds where they stand: in the schema of a request."""
    schema: dict[str, Any] = VideoJobRequest.model_json_schema()["properties"][field]
    bounds = next(each for each in schema["anyOf"] if each["type"] != "null")
    return Range(minimum=bounds["minimum"], maximum=bounds["maximum"])
