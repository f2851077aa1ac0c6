"""A wrong environment is told in one sentence, without values, and before torch is imported."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from renderer_process import RendererProcess, environment

from videojob.resolve import ResolvedRequest
from videojob.speed import SpeedOptions
from videojob.speed_choices import StepCache
from videojob_renderer.environment import read_settings, termination_log
from videojob_renderer.errors import InvalidEnvironment, InvalidRequest
from videojob_renderer.logs import fields_of

Make = Callable[..., ResolvedRequest]
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def environ(make_request: Make) -> dict[str, str]:
    return environment(make_request(), api_port=6443, token_dir=Path("/token"), storage={})


def test_what_the_operator_sets_is_read(environ: dict[str, str], make_request: Make) -> None:
    settings = read_settings(environ | {"VIDEOJOB_S3_PREFIX": "renders", "VIDEOJOB_IMAGE": "videojob-renderer:0.1.0"})
    assert settings.request == make_request()
    assert settings.api_server == "https://127.0.0.1:6443"
    assert (settings.name, settings.namespace, settings.pod_name) == ("squirrel", "studio", "squirrel-x7k2p")
    assert (settings.bucket, settings.prefix, settings.image) == ("videos", "renders", "videojob-renderer:0.1.0")
    assert "squirrel riding" not in repr(settings)


def test_the_gpus_of_the_profile_are_counted(environ: dict[str, str]) -> None:
    assert read_settings(environ).gpus == 0
    assert read_settings(environ | {"VIDEOJOB_GPUS": "2"}).gpus == 2
    with pytest.raises(InvalidEnvironment, match="VIDEOJOB_GPUS must be a whole number, at least 0, not 'two'"):
        read_settings(environ | {"VIDEOJOB_GPUS": "two"})


def test_an_ipv6_api_server_gets_its_brackets(environ: dict[str, str]) -> None:
    assert read_settings(environ | {"KUBERNETES_SERVICE_HOST": "fd00::1"}).api_server == "https://[fd00::1]:6443"


def test_all_missing_variables_are_named(environ: dict[str, str]) -> None:
    del environ["VIDEOJOB_UID"]
    environ["VIDEOJOB_S3_BUCKET"] = ""
    with pytest.raises(InvalidEnvironment, match=r"lacks VIDEOJOB_UID, VIDEOJOB_S3_BUCKET$"):
        read_settings(environ)


def test_a_request_that_is_no_json_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match="not JSON"):
        read_settings(environ | {"VIDEOJOB_REQUEST": "{prompt"})


def test_a_wrong_request_is_told_by_its_fields_without_its_values(environ: dict[str, str]) -> None:
    request = json.loads(environ["VIDEOJOB_REQUEST"]) | {"steps": "my secret prompt", "colour": "my secret prompt"}
    with pytest.raises(InvalidRequest) as refused:
        read_settings(environ | {"VIDEOJOB_REQUEST": json.dumps(request)})
    assert "steps" in refused.value.message
    assert "colour is not a known field" in refused.value.message
    assert "secret" not in refused.value.message


def test_speed_options_are_read_and_absent_ones_are_the_lossless_defaults(environ: dict[str, str]) -> None:
    assert read_settings(environ).speed == SpeedOptions()
    speed = read_settings(
        environ | {"VIDEOJOB_SPEED": '{"fp8": true, "cache": "firstBlock", "cacheThreshold": 0.1}'}
    ).speed
    assert speed == SpeedOptions(fp8=True, cache=StepCache.FIRST_BLOCK, cache_threshold=0.1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "VIDEOJOB_SPEED is not JSON"),
        ('{"attention": "fast"}', "VIDEOJOB_SPEED: attention .*'cudnn'"),
        ('{"cacheInterval": 3}', "cacheInterval has no effect unless cache is one of pyramidAttention"),
        ('{"compileCache": "cache"}', "compileCache"),
    ],
)
def test_wrong_speed_options_are_told(environ: dict[str, str], text: str, sentence: str) -> None:
    with pytest.raises(InvalidEnvironment, match=sentence):
        read_settings(environ | {"VIDEOJOB_SPEED": text})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"num_frames": 10}, "numFrames must be 8k"),
        ({"num_frames": 25, "family": "1.5"}, "numFrames must be 16k"),
        ({"width": 72}, "width must be a multiple of 16"),
        ({"height": 0}, "height must be a multiple of 16"),
        ({"fps": 0}, "fps must be at least 1"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"guidance_scale": -1}, "guidanceScale must be at least 0"),
        ({"seed": 2**63}, "seed must be from 0"),
        ({"prompt": "  "}, "prompt must not be blank"),
        ({"dtype": "int8"}, "dtype must be"),
        ({"family": "5b-i2v"}, "image is required by image-to-video models"),
        ({"image": "s3://x/y.png"}, "image is for image-to-video models only"),
    ],
)
def test_a_request_that_cannot_be_rendered_is_refused(
    environ: dict[str, str], make_request: Make, change: dict[str, object], sentence: str
) -> None:
    text = make_request(**change).model_dump_json(by_alias=True)
    with pytest.raises(InvalidRequest, match=sentence):
        read_settings(environ | {"VIDEOJOB_REQUEST": text})


def test_the_interval_of_checkpoints_is_read(environ: dict[str, str]) -> None:
    assert read_settings(environ).checkpoint_seconds == 10
    assert read_settings(environ | {"VIDEOJOB_CHECKPOINT_SECONDS": "2.5"}).checkpoint_seconds == 2.5


def test_the_interval_of_progress_can_be_set(environ: dict[str, str]) -> None:
    assert read_settings(environ).progress_seconds == 2
    assert read_settings(environ | {"VIDEOJOB_PROGRESS_SECONDS": "30"}).progress_seconds == 30


@pytest.mark.parametrize("text", ["often", "-1", "nan", "inf"])
def test_an_interval_that_is_none_is_told(environ: dict[str, str], text: str) -> None:
    with pytest.raises(InvalidEnvironment, match=f"CHECKPOINT_SECONDS must be a number .* not '{text}'"):
        read_settings(environ | {"VIDEOJOB_CHECKPOINT_SECONDS": text})


def test_the_last_words_have_a_place_even_without_an_environment() -> None:
    assert termination_log({}) == Path("/dev/termination-log")


def test_the_process_ends_with_64_and_says_why(tmp_path: Path, environ: dict[str, str]) -> None:
    del environ["VIDEOJOB_POD_NAME"]
    renderer = RendererProcess(tmp_path, environ)
    assert renderer.wait() == 64
    assert renderer.last_words == {
        "reason": "InvalidRequest",
        "message": "the renderer's environment lacks VIDEOJOB_POD_NAME",
    }
    assert renderer.lines[-1]["exit_code"] == 64


def test_a_wrong_environment_is_told_without_importing_torch(tmp_path: Path, environ: dict[str, str]) -> None:
    poison = tmp_path / "poison"
    poison.mkdir()
    (poison / "torch.py").write_text("raise AssertionError('torch was imported')")
    environ["VIDEOJOB_REQUEST"] = "{}"
    assert RendererProcess(tmp_path, environ | {"PYTHONPATH": str(poison)}).wait() == 64


@pytest.mark.parametrize(("text", "kept"), [(TRACEPARENT, TRACEPARENT), ("", None), ("$(HOME)", None)])
def test_a_trace_is_kept_where_it_is_one(text: str, kept: str | None, environ: dict[str, str]) -> None:
    assert read_settings(environ | {"VIDEOJOB_TRACEPARENT": text}).traceparent == kept


def test_every_line_of_the_log_names_the_trace(environ: dict[str, str]) -> None:
    traced = fields_of(read_settings(environ | {"VIDEOJOB_TRACEPARENT": TRACEPARENT}))
    assert traced["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert "trace_id" not in fields_of(read_settings(environ))
