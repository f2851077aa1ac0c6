"""The families of CogVideoX: what each can render, and with which values when a request names none.

Sources: the model cards of CogVideoX-2b, -5b and 1.5-5B, and diffusers 0.42.1, whose VAE gives back exactly the
frames asked for only for 8k+1 (16k+1 for 1.5, which packs two latent frames into one token) and whose transformer
needs sizes in multiples of 16.
"""

from dataclasses import dataclass
from enum import StrEnum

SIZE_MULTIPLE = 16
MAX_AREA = 1360 * 768
"""Pixels of the largest frame any family was trained on."""


class Family(StrEnum):
    """The structure of a checkpoint, which decides how it is loaded and what it can render."""

    COGVIDEOX_2B = "2b"  # sinusoidal positions, DDIM
    COGVIDEOX_5B = "5b"  # rotary positions, DPM
    COGVIDEOX_1_5 = "1.5"  # rotary positions, DPM, two latent frames a token
    COGVIDEOX_5B_I2V = "5b-i2v"  # 5b that starts from an image
    COGVIDEOX_1_5_I2V = "1.5-i2v"  # 1.5 that starts from an image

    @property
    def takes_image(self) -> bool:
        """Whether a request needs an input image."""
        return self in (Family.COGVIDEOX_5B_I2V, Family.COGVIDEOX_1_5_I2V)


@dataclass(frozen=True, slots=True)
class FrameRule:
    """Which frame counts come out exactly as asked: `step * k + 1`, k >= 1, up to `maximum`."""

    step: int
    maximum: int

    @property
    def minimum(self) -> int:
        """The smallest legal frame count."""
        return self.step + 1

    def allows(self, frames: int) -> bool:
        """Tell whether a frame count is legal."""
        return self.minimum <= frames <= self.maximum and (frames - 1) % self.step == 0

    def nearest(self, frames: int) -> int:
        """Return the legal frame count nearest to this one, the smaller of two equally near."""
        k = (2 * (frames - 1) + self.step - 1) // (2 * self.step)  # rounds halves down
        return min(max(k * self.step + 1, self.minimum), self.maximum)

    def __str__(self) -> str:
        return f"{self.step}k+1 from {self.minimum} to {self.maximum}"


SHORT = FrameRule(step=8, maximum=49)
LONG = FrameRule(step=16, maximum=161)
ANY_FAMILY = FrameRule(step=8, maximum=161)
"""What a request may say while its model, and so its family, is not known: LONG is a part of it."""


@dataclass(frozen=True, slots=True)
class FamilyDefaults:
    """The values of a family that a catalogue entry or a request need not say."""

    frames: FrameRule
    num_frames: int
    width: int
    height: int
    fps: int
    steps: int = 50
    guidance_scale: float = 6.0
    dtype: str = "bfloat16"


_FIRST = FamilyDefaults(frames=SHORT, num_frames=49, width=720, height=480, fps=8)
_SECOND = FamilyDefaults(frames=LONG, num_frames=81, width=1360, height=768, fps=16)

FAMILY_DEFAULTS = {
    Family.COGVIDEOX_2B: _FIRST,
    Family.COGVIDEOX_5B: _FIRST,
    Family.COGVIDEOX_5B_I2V: _FIRST,
    Family.COGVIDEOX_1_5: _SECOND,
    Family.COGVIDEOX_1_5_I2V: _SECOND,
}

FIXED_SIZE_MODELS = ("CogVideoX-2b", "CogVideoX-5b", "CogVideoX-5b-I2V")
"""Official models that were trained on 720x480 and give noise at other sizes."""

LONG_MODEL_PREFIX = "CogVideoX1.5"
IMAGE_MODEL_SUFFIX = "-I2V"


def frame_rule_of_model(model: str | None) -> FrameRule:
    """Return what the name of a model alone says about frame counts: what the CRD can check without the catalogue."""
    if model is None:
        return ANY_FAMILY
    if model.startswith(LONG_MODEL_PREFIX):
        return LONG
    return SHORT if model in FIXED_SIZE_MODELS else ANY_FAMILY
