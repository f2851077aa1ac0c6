"""A request says at once what is wrong with it: the field, the rule and the nearest legal value."""

from typing import Any

import pytest
from pydantic import ValidationError

from videojob.errors import Violation, violations
from videojob.request import VideoJobRequest
from videojob.spec import VideoJobSpec


def refusals(**fields: Any) -> list[Violation]:
    with pytest.raises(ValidationError) as caught:
        VideoJobRequest.model_validate({"prompt": "a squirrel"} | fields)
    return violations(caught.value)


@pytest.mark.parametrize(
    ("fields", "field", "nearest"),
    [
        ({"numFrames": 50}, "numFrames", 49),
        ({"numFrames": 8}, "numFrames", 9),
        ({"numFrames": 162}, "numFrames", 161),
        ({"numFrames": 57, "model": "CogVideoX-2b"}, "numFrames", 49),
        ({"numFrames": 41, "model": "CogVideoX1.5-5B"}, "numFrames", 33),
        ({"width": 100}, "width", 96),
        ({"width": 1361}, "width", 1360),
        ({"height": 1}, "height", 64),
        ({"width": 704, "model": "CogVideoX-2b"}, "width", 720),
        ({"height": 464, "model": "CogVideoX-5b"}, "height", 480),
        ({"width": 1360, "height": 784}, "height", 768),
        ({"fps": 0}, "fps", 1),
        ({"fps": 61}, "fps", 60),
        ({"steps": 0}, "steps", 1),
        ({"steps": 201}, "steps", 200),
        ({"guidanceScale": -1}, "guidanceScale", 0),
        ({"guidanceScale": 30.5}, "guidanceScale", 30),
        ({"seed": -1}, "seed", 0),
        ({"seed": 2**63}, "seed", 2**63 - 1),
        ({"seed": 2**200}, "seed", 2**63 - 1),
        ({"prompt": ""}, "prompt", None),
        ({"prompt": " \t\u3000\x85"}, "prompt", None),
        ({"prompt": "x" * 4097}, "prompt", None),
        ({"prompt": None}, "prompt", None),
        ({"numFrames": "49"}, "numFrames", None),
        ({"numFrames": True}, "numFrames", None),
        ({"steps": 2.5}, "steps", None),
        ({"frames": 49}, "frames", None),
        ({"model": "../../etc/passwd"}, "model", None),
        ({"negativePrompt": "blurry", "guidanceScale": 1}, "negativePrompt", None),
        ({"image": "s3://bucket/key.png"}, "image", None),
        ({"image": "file:///etc/passwd", "model": "CogVideoX-5b-I2V"}, "image", None),
        ({"model": "CogVideoX-5b-I2V"}, "image", None),
    ],
)
def test_an_illegal_value_is_named_with_its_nearest_legal_one(
    fields: dict[str, Any], field: str, nearest: int | None
) -> None:
    (violation,) = refusals(**fields)
    assert violation.field == field
    assert violation.nearest == nearest
    assert violation.message


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"numFrames": 9},
        {"numFrames": 49, "model": "CogVideoX-2b", "width": 720, "height": 480},
        {"numFrames": 17, "model": "CogVideoX1.5-5B"},
        {"numFrames": 161, "model": "CogVideoX1.5-5B", "width": 1360, "height": 768},
        {"width": 768, "height": 1360},
        {"width": 64, "height": 64},
        {"fps": 1},
        {"fps": 60},
        {"steps": 200},
        {"guidanceScale": 0},
        {"guidanceScale": 30},
        {"seed": 0},
        {"seed": 2**63 - 1},
        {"prompt": "\x00 ' ; DROP TABLE -- \u202e🐿"},
        {"prompt": "x" * 4096},
        {"negativePrompt": "", "guidanceScale": 1.01},
        {"image": "s3://bucket/key.png", "model": "CogVideoX-5b-I2V"},
        {"fps": None},
    ],
)
def test_a_legal_value_at_the_edge_is_accepted(fields: dict[str, Any]) -> None:
    assert VideoJobRequest.model_validate({"prompt": "a squirrel"} | fields).prompt


def test_all_violations_are_told_together() -> None:
    assert {violation.field for violation in refusals(fps=0, steps=0, seed=-1)} == {"fps", "steps", "seed"}


def test_a_manifest_round_trips_in_camel_case() -> None:
    request = VideoJobRequest(prompt="a squirrel", num_frames=49, guidance_scale=4.5)
    assert request.dump() == {"prompt": "a squirrel", "numFrames": 49, "guidanceScale": 4.5}
    assert VideoJobRequest.model_validate(request.dump()) == request


def test_a_spec_names_the_path_of_a_broken_rule() -> None:
    with pytest.raises(ValidationError) as caught:
        VideoJobSpec.model_validate({"request": {"prompt": "x", "numFrames": 50}, "backoffLimit": -1})
    assert {violation.field for violation in violations(caught.value)} == {"request.numFrames", "backoffLimit"}


@pytest.mark.parametrize(
    "fields", [{"prompt": ["a squirrel"]}, {"numFrames": "a squirrel"}, {"squirrel": "a squirrel"}]
)
def test_an_error_does_not_quote_what_it_was_given(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        VideoJobSpec.model_validate({"request": {"prompt": "x"} | fields})
    assert "a squirrel" not in str(caught.value)
