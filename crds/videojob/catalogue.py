"""The model catalogue: which models an installation offers and where their weights lie.

Configuration of the administrator (chart values), mounted as JSON into operator and API.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, TypeAdapter, model_validator

from videojob.base import Manifest
from videojob.families import FAMILY_DEFAULTS, IMAGE_MODEL_SUFFIX, LONG_MODEL_PREFIX, Family
from videojob.request import ModelName, Side
from videojob.settings_file import read_settings_file

Size = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{1,3}x[1-9][0-9]{1,3}$")]


class ModelDefaults(Manifest):
    """Values of a request that names none; what is absent here comes from the family."""

    num_frames: int | None = Field(None, ge=9, le=161)
    width: Side | None = None
    height: Side | None = None
    fps: int | None = Field(None, ge=1, le=60)
    steps: int | None = Field(None, ge=1, le=200)
    guidance_scale: float | None = Field(None, ge=0, le=30)


class Adapter(Manifest):
    """A LoRA: small changes of a model's weights, which the renderer adds to them as it loads.

    Attributes:
        source: a folder or a file (absolute path), or a hub repository (`owner/name`).
        file: name of the *.safetensors in folder or repository; None = the only one of the folder.
        revision: commit or tag of the hub repository; None = its main branch.
        weight: how much of it is added.
    """

    source: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    file: Annotated[str, StringConstraints(pattern=r"^[^/]([^/]|/[^/.])*\.safetensors$", max_length=1024)] | None = None
    revision: str | None = None
    weight: float = Field(1.0, ge=-10, le=10)

    @model_validator(mode="after")
    def _names_its_file(self) -> Self:
        if not self.source.startswith("/") and self.file is None:
            raise ValueError("file is required with a hub repository: the name of its *.safetensors")
        if self.source.startswith("/") and self.file is None and Path(self.source).suffix not in {"", ".safetensors"}:
            raise ValueError("source must be a folder or a *.safetensors file")
        return self


AdapterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]


class CatalogueModel(Manifest):
    """One model.

    Attributes:
        family: decides how the weights are loaded and which frame counts are legal.
        source: a folder (absolute path), a hub repository (`owner/name`) or `s3://BUCKET/PREFIX`.
        revision: commit or tag of the hub repository; None = its main branch.
        dtype: of the weights on a GPU; None = the family's.
        scheduler: `ddim` or `dpm`; None = the one that the weights come with.
        dynamic_guidance: change the guidance from step to step, as upstream advises for 5b with `dpm`.
        adapters: LoRAs that are added to the weights.
        sizes: the only legal sizes, such as `720x480`; empty = any multiple of 16 up to the largest area.
    """

    family: Family
    source: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    revision: str | None = None
    dtype: Literal["float16", "bfloat16", "float32"] | None = None
    scheduler: Literal["ddim", "dpm"] | None = None
    dynamic_guidance: bool = False
    adapters: dict[AdapterName, Adapter] = Field(default_factory=dict)
    sizes: tuple[Size, ...] = ()
    defaults: ModelDefaults = ModelDefaults()

    @model_validator(mode="after")
    def _defaults_are_legal(self) -> Self:
        frames = self.defaults.num_frames
        rule = FAMILY_DEFAULTS[self.family].frames
        if frames is not None and not rule.allows(frames):
            raise ValueError(f"defaults.numFrames must be {rule} for family {self.family}, got {frames}")
        return self


class Catalogue(Manifest):
    """All models of an installation, and which of them a request gets that names none."""

    default_model: ModelName
    models: dict[ModelName, CatalogueModel]

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.default_model not in self.models:
            raise ValueError(f"defaultModel {self.default_model!r} is not one of models: {', '.join(self.models)}")
        for name, model in self.models.items():
            # The CRD can only go by the name, so a name must not promise another family.
            if name.endswith(IMAGE_MODEL_SUFFIX) != model.family.takes_image:
                raise ValueError(f"models.{name}: names of image-to-video models, and only those, end in -I2V")
            is_long = model.family in (Family.COGVIDEOX_1_5, Family.COGVIDEOX_1_5_I2V)
            if name.startswith(LONG_MODEL_PREFIX) and not is_long:
                raise ValueError(f"models.{name}: names of family 1.5 only may begin with {LONG_MODEL_PREFIX}")
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the catalogue from its JSON file.

        Raises:
            ConfigurationError: the file is missing, is not JSON or breaks a rule; the text names file and field.
        """
        return read_settings_file(path, TypeAdapter(cls), "model catalogue")
