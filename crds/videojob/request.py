"""What a user asks for: `spec.request`, immutable as a whole.

The rules stand here twice over: as pydantic validators (for REST) and as OpenAPI bounds and CEL (for the API
server, see crd.py). A property test on a real API server proves that both say the same.
"""

from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from videojob.base import Manifest
from videojob.errors import rule_broken
from videojob.families import (
    FIXED_SIZE_MODELS,
    IMAGE_MODEL_SUFFIX,
    MAX_AREA,
    SIZE_MULTIPLE,
    frame_rule_of_model,
)

NOT_BLANK_PATTERN = r"[^\t-\r \x1c-\x1f\x85\xa0\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]"
"""Any character but white space, for CEL (RE2): written out because `\\s` is less there than `str.isspace` here."""

MAX_PROMPT_LENGTH = 4096
MAX_SEED = 2**63 - 1
MAX_FPS = 60
MAX_SIDE = 1360
MIN_SIDE = 64


def _not_blank(text: str) -> str:
    if text.isspace():
        raise rule_broken("", "must not be blank")
    return text


def _legal_side(pixels: int) -> int:
    nearest = min(max(round(pixels / SIZE_MULTIPLE) * SIZE_MULTIPLE, MIN_SIDE), MAX_SIDE)
    if pixels != nearest:
        raise rule_broken("", f"must be a multiple of {SIZE_MULTIPLE} from {MIN_SIDE} to {MAX_SIDE}", nearest)
    return pixels


Prompt = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_PROMPT_LENGTH),
    AfterValidator(_not_blank),
]
ModelName = Annotated[
    str, StringConstraints(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
]
Int32 = Annotated[int, Field(json_schema_extra={"format": "int32"})]
Int64 = Annotated[int, Field(json_schema_extra={"format": "int64"})]
Side = Annotated[
    int,
    AfterValidator(_legal_side),
    Field(
        json_schema_extra={
            "format": "int32",
            "minimum": MIN_SIDE,
            "maximum": MAX_SIDE,
            "multipleOf": SIZE_MULTIPLE,
        }
    ),
]
Uri = Annotated[str, StringConstraints(min_length=1, max_length=2048, pattern=r"^s3://[^/]+/.+$")]


class VideoJobRequest(Manifest):
    """What to render. Everything but the prompt may be left to the defaults of the model."""

    model_config = ConfigDict(strict=True)

    prompt: Prompt = Field(description="What the video shows.")
    negative_prompt: Annotated[str, StringConstraints(max_length=MAX_PROMPT_LENGTH)] | None = Field(
        None, description="What the video should not show. Needs guidanceScale > 1."
    )
    model: ModelName | None = Field(
        None, description="A name in the model catalogue. Absent: the installation's default."
    )
    num_frames: Annotated[Int32, Field(ge=9, le=161)] | None = Field(
        None, description="Frames of the video: 8k+1 up to 49; for CogVideoX1.5 models 16k+1 up to 161."
    )
    width: Side | None = Field(None, description="Pixels, a multiple of 16. CogVideoX-2b and -5b: 720 only.")
    height: Side | None = Field(None, description="Pixels, a multiple of 16. CogVideoX-2b and -5b: 480 only.")
    fps: Annotated[Int32, Field(ge=1, le=MAX_FPS)] | None = Field(
        None, description="Frames a second of the video file."
    )
    steps: Annotated[Int32, Field(ge=1, le=200)] | None = Field(None, description="Denoising steps.")
    guidance_scale: Annotated[float, Field(ge=0, le=30)] | None = Field(
        None, description="How strictly the prompt is followed. 1 and below switch guidance off, at half the cost."
    )
    seed: Annotated[Int64, Field(ge=0, le=MAX_SEED)] | None = Field(
        None, description="Equal seeds give equal videos. Absent: drawn by the renderer, recorded in status.resolved."
    )
    image: Uri | None = Field(
        None, description="Input image (s3://BUCKET/KEY) of the image-to-video models: JPEG, PNG or WebP."
    )

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        self._check_frames()
        self._check_size()
        if self.negative_prompt is not None and self.guidance_scale is not None and self.guidance_scale <= 1:
            raise rule_broken("negativePrompt", "has no effect unless guidanceScale is greater than 1")
        is_image_model = self.model is not None and self.model.endswith(IMAGE_MODEL_SUFFIX)
        if self.image is not None and not is_image_model:
            raise rule_broken("image", "is for image-to-video models only (their names end in -I2V)")
        if is_image_model and self.image is None:
            raise rule_broken("image", "is required by image-to-video models")
        return self

    def _check_frames(self) -> None:
        rule = frame_rule_of_model(self.model)
        if self.num_frames is not None and not rule.allows(self.num_frames):
            raise rule_broken("numFrames", f"must be {rule}", rule.nearest(self.num_frames))

    def _check_size(self) -> None:
        if self.model in FIXED_SIZE_MODELS:
            if self.width not in (None, 720):
                raise rule_broken("width", "must be 720 for this model, which renders 720x480 only", 720)
            if self.height not in (None, 480):
                raise rule_broken("height", "must be 480 for this model, which renders 720x480 only", 480)
        if self.width is not None and self.height is not None and self.width * self.height > MAX_AREA:
            nearest = MAX_AREA // self.width // SIZE_MULTIPLE * SIZE_MULTIPLE
            raise rule_broken("height", f"width times height must be at most {MAX_AREA} pixels", nearest)
