"""`resolve` fills in what the request leaves open, and refuses what the model cannot render."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojob.catalogue import Catalogue
from videojob.errors import ConfigurationError, InvalidRequest, UnknownModel
from videojob.families import FAMILY_DEFAULTS, FrameRule
from videojob.reasons import Reason
from videojob.request import VideoJobRequest
from videojob.resolve import ResolvedRequest, resolve

CATALOGUE = Catalogue.model_validate(
    {
        "defaultModel": "CogVideoX-2b",
        "models": {
            "CogVideoX-2b": {"family": "2b", "source": "zai-org/CogVideoX-2b", "sizes": ["720x480"]},
            "CogVideoX1.5-5B": {"family": "1.5", "source": "zai-org/CogVideoX1.5-5B"},
            "anime": {"family": "1.5", "source": "/models/anime", "defaults": {"fps": 24, "steps": 30}},
            "quick": {"family": "2b", "source": "/models/quick", "dtype": "float16", "defaults": {"guidanceScale": 1}},
        },
    }
)


def test_an_empty_request_gets_the_values_of_the_default_model() -> None:
    resolved = resolve(VideoJobRequest(prompt="a squirrel"), CATALOGUE)
    assert resolved == ResolvedRequest(
        prompt="a squirrel",
        model="CogVideoX-2b",
        family="2b",
        source="zai-org/CogVideoX-2b",
        dtype="bfloat16",
        num_frames=49,
        width=720,
        height=480,
        fps=8,
        steps=50,
        guidance_scale=6.0,
    )


def test_the_request_wins_over_the_catalogue_and_the_catalogue_over_the_family() -> None:
    resolved = resolve(VideoJobRequest(prompt="x", model="anime", steps=7, seed=0), CATALOGUE)
    assert (resolved.steps, resolved.fps, resolved.num_frames, resolved.seed) == (7, 24, 81, 0)


def test_what_the_catalogue_says_of_the_algorithm_is_handed_on() -> None:
    adapters = {"anime": {"source": "/models/anime.safetensors", "weight": 0.8}}
    mine = {"family": "5b-i2v", "source": "/m", "scheduler": "dpm", "dynamicGuidance": True, "adapters": adapters}
    catalogue = Catalogue.model_validate({"defaultModel": "my-I2V", "models": {"my-I2V": mine}})
    request = VideoJobRequest(prompt="x", model="my-I2V", image="s3://videos/first.png")
    resolved = resolve(request, catalogue)
    assert (resolved.scheduler, resolved.dynamic_guidance, resolved.image) == ("dpm", True, "s3://videos/first.png")
    assert resolved.dump()["adapters"] == adapters
    assert ResolvedRequest.model_validate_json(resolved.model_dump_json(by_alias=True)) == resolved


def test_what_status_shows_holds_no_prompt_and_no_place_of_the_weights() -> None:
    shown = resolve(VideoJobRequest(prompt="secret"), CATALOGUE).values_for_status()
    assert shown == {
        "model": "CogVideoX-2b",
        "numFrames": 49,
        "width": 720,
        "height": 480,
        "fps": 8,
        "steps": 50,
        "guidanceScale": 6.0,
    }


def test_a_resolved_request_survives_its_way_through_the_environment() -> None:
    resolved = resolve(VideoJobRequest(prompt="\x00 \u202e🐿\n", seed=2**63 - 1), CATALOGUE)
    text = resolved.model_dump_json(by_alias=True)
    assert "\x00" not in text
    assert ResolvedRequest.model_validate_json(text) == resolved


@pytest.mark.parametrize(
    ("fields", "field", "nearest"),
    [
        ({"num_frames": 57}, "numFrames", 49),
        ({"model": "quick", "num_frames": 161}, "numFrames", 49),
        ({"model": "anime", "num_frames": 25}, "numFrames", 17),
        ({"width": 704}, "width", 720),
        ({"height": 464}, "height", 480),
        ({"model": "quick", "negative_prompt": "blurry"}, "negativePrompt", None),
    ],
)
def test_what_the_model_cannot_render_is_refused(fields: dict[str, Any], field: str, nearest: int | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolve(VideoJobRequest(prompt="x", **fields), CATALOGUE)
    assert (caught.value.field, caught.value.nearest) == (field, nearest)
    assert caught.value.reason is Reason.INVALID_REQUEST


def test_an_unknown_model_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(UnknownModel, match=r"CogVideoX-2b, CogVideoX1\.5-5B, anime, quick") as caught:
        resolve(VideoJobRequest(prompt="x", model="CogVideoX-2B"), CATALOGUE)
    assert caught.value.nearest == "CogVideoX-2b"
    assert caught.value.reason is Reason.UNKNOWN_MODEL


@given(frames=st.integers(-(10**6), 10**6), rule=st.sampled_from([d.frames for d in FAMILY_DEFAULTS.values()]))
def test_the_nearest_frame_count_is_legal_and_none_is_nearer(frames: int, rule: FrameRule) -> None:
    nearest = rule.nearest(frames)
    legal = [n for n in range(rule.maximum + 1) if rule.allows(n)]
    assert nearest in legal
    assert abs(nearest - frames) == min(abs(n - frames) for n in legal)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "not JSON"),
        ('{"models": {}}', "defaultModel is required"),
        ('{"defaultModel": "a", "models": {}}', "'a' is not one of models"),
        ('{"defaultModel": "a", "models": {"a": {"family": "3b", "source": "x"}}}', "models.a.family"),
        ('{"defaultModel": "a", "models": {"a": {"family": "2b", "source": "x", "size": 1}}}', "models.a.size"),
        ('{"defaultModel": "a", "models": {"a": {"family": "5b-i2v", "source": "x"}}}', "end in -I2V"),
        (
            '{"defaultModel": "a", "models": {"a": {"family": "1.5", "source": "x", "defaults": {"numFrames": 25}}}}',
            "defaults.numFrames must be 16k",
        ),
        (
            '{"defaultModel": "a", "models": {"a": {"family": "2b", "source": "x", "adapters": {"b": {"source": "x"}}}}}',
            "models.a.adapters.b .*file is required with a hub repository",
        ),
        (
            (
                '{"defaultModel": "a", "models": {"a": {"family": "2b", "source": "x", "adapters": '
                '{"b": {"source": "/x.bin"}}}}}'
            ),
            "must be a folder or a .*safetensors file",
        ),
        (
            (
                '{"defaultModel": "a", "models": {"a": {"family": "2b", "source": "x", "adapters": '
                '{"b": {"source": "x", "file": "x.bin"}}}}}'
            ),
            "models.a.adapters.b.file",
        ),
        (
            '{"defaultModel": "CogVideoX1.5-x", "models": {"CogVideoX1.5-x": {"family": "2b", "source": "x"}}}',
            "family 1.5 only",
        ),
    ],
)
def test_a_wrong_catalogue_names_file_and_field(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "catalogue.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        Catalogue.read(path)
    assert str(path) in str(caught.value)


def test_a_missing_catalogue_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"catalogue\.json: No such file"):
        Catalogue.read(tmp_path / "catalogue.json")


def test_a_catalogue_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps(CATALOGUE.dump()))
    assert Catalogue.read(path) == CATALOGUE
