"""`seconds` and `size` of the protocol, and what they mean in frames and pixels. Pure.

Seconds are counted from the first frame to the last, so `seconds` = (frames - 1) / fps. That is how CogVideoX counts:
49 frames at 8 fps are its "6 seconds". A duration becomes the legal frame count nearest to it (the smaller of two
equally near); one beyond the model's longest or shortest video is refused with the nearest that is legal, never
shortened unasked. `fps` is the request's own, else the model's.
"""

import re
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

from videojob.catalogue import Catalogue
from videojob.families import FAMILY_DEFAULTS, FrameRule
from videojob.request import MAX_FPS
from videojob_api.errors import InvalidInput
from videojob_api.generation import Body

_SECONDS = re.compile(r"\d{1,3}(\.\d{1,3})?", re.ASCII)
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})", re.ASCII)
_THREE_PLACES = Decimal("0.001")


def without_seconds_and_size(body: Body, catalogue: Catalogue) -> Body:
    """Return the body with `num_frames`, `width` and `height` in the place of `seconds` and `size`.

    Raises:
        InvalidInput: they cannot be read or rendered, or say the same as another field.
    """
    rest = {name: value for name, value in body.items() if name not in {"seconds", "size"}}
    if body.get("size") is not None:
        rest |= _pixels(body)
    if body.get("seconds") is not None:
        rest |= _frames(body, catalogue)
    return rest


def seconds_of(num_frames: int, fps: int) -> str:
    """Return the duration as the protocol writes it: a number with at most three decimals, in a string."""
    exact = Decimal(num_frames - 1) / Decimal(fps)
    return f"{exact.quantize(_THREE_PLACES, ROUND_HALF_EVEN).normalize():f}"


def size_of(width: int, height: int) -> str:
    """Return the size as the protocol writes it."""
    return f"{width}x{height}"


def in_words_of_protocol(error: InvalidInput, body: Body) -> InvalidInput:
    """Speak of the fields that the client wrote, not of what they became."""
    if error.field in {"width", "height"} and body.get("size") is not None:
        width, height = (int(side) for side in body["size"].split("x"))
        nearest = (
            None if error.nearest is None else size_of(**{"width": width, "height": height, error.field: error.nearest})
        )
        return InvalidInput(f"size: {error.message}", code=error.code, field="size", nearest=nearest)
    if error.field == "image" and "image" not in body:
        sentence = error.message.removeprefix("image ")
        return InvalidInput(f"input_reference {sentence}", code=error.code, field="input_reference")
    return error


def _pixels(body: Body) -> Body:
    _refuse_both("size", ("width", "height"), body)
    match = _SIZE.fullmatch(body["size"]) if isinstance(body["size"], str) else None
    if match is None:
        raise InvalidInput("size must be WIDTHxHEIGHT in pixels, such as 720x480", field="size")
    return {"width": int(match[1]), "height": int(match[2])}


def _frames(body: Body, catalogue: Catalogue) -> Body:
    _refuse_both("seconds", ("num_frames",), body)
    seconds = _number(body["seconds"])
    name = body.get("model") or catalogue.default_model
    model = catalogue.models.get(name) if isinstance(name, str) else None
    fps = body.get("fps")
    if model is None or (fps is not None and (type(fps) is not int or not 1 <= fps <= MAX_FPS)):
        return {}  # that mistake is to be mended first
    family = FAMILY_DEFAULTS[model.family]
    return {"num_frames": _legal_frames(seconds, fps or model.defaults.fps or family.fps, family.frames)}


def _legal_frames(seconds: Fraction, fps: int, rule: FrameRule) -> int:
    wanted = round(seconds * fps) + 1
    if not rule.minimum <= wanted <= rule.maximum:
        word, limit = ("least", rule.minimum) if wanted < rule.minimum else ("most", rule.maximum)
        nearest = seconds_of(limit, fps)
        message = f"seconds must be at {word} {nearest}: the model renders {rule} frames, here at {fps} fps"
        raise InvalidInput(message, field="seconds", nearest=nearest)
    return rule.nearest(wanted)


def _number(seconds: Any) -> Fraction:
    """Read "4", 4 or 2.5."""
    text = str(seconds) if type(seconds) in {int, float, str} else ""
    if not _SECONDS.fullmatch(text):
        raise InvalidInput('seconds must be a number such as "4" or "2.5"', field="seconds")
    return Fraction(text)


def _refuse_both(field: str, others: tuple[str, ...], body: Body) -> None:
    for other in others:
        if body.get(other) is not None:
            raise InvalidInput(f"{field} says what {other} says: give one of them", field=field)
