"""The body of POST /generate: what it becomes, and how each mistake in it is told."""

import json
from typing import Any

import pytest

from videojob.catalogue import Catalogue
from videojob_api.errors import InvalidInput
from videojob_api.generation import GenerateRequest, order_of, parse_body
from videojob_api.orders import name_in_batch

SEED_BODY = {"prompt": "a squirrel", "num_frames": 49, "guidance_scale": 4.5, "seed": 42, "fps": 12}

MISTAKES: list[tuple[dict[str, Any], str, Any]] = [
    ({"num_frames": 50}, "num_frames", 49),
    ({"num_frames": 60}, "num_frames", 49),
    ({"num_frames": 1000000}, "num_frames", 49),
    ({"num_frames": 10}, "num_frames", 9),
    ({"num_frames": -1}, "num_frames", 9),
    ({"num_frames": 81}, "num_frames", 49),
    ({"num_frames": 60, "model": "CogVideoX1.5-5B"}, "num_frames", 65),
    ({"num_frames": 60, "model": "CogVideoX-2b"}, "num_frames", 49),
    ({"num_frames": "49"}, "num_frames", None),
    ({"prompt": ""}, "prompt", None),
    ({"prompt": " \t\u3000"}, "prompt", None),
    ({"prompt": "x" * 4097}, "prompt", None),
    ({"prompt": None}, "prompt", None),
    ({"prompt": ["a"]}, "prompt", None),
    ({"fps": 0}, "fps", 1),
    ({"fps": 61}, "fps", 60),
    ({"steps": 0}, "steps", 1),
    ({"guidance_scale": -1}, "guidance_scale", 0),
    ({"guidance_scale": 31}, "guidance_scale", 30),
    ({"seed": 2**63}, "seed", 2**63 - 1),
    ({"seed": 10**40}, "seed", 2**63 - 1),
    ({"seed": -1}, "seed", 0),
    ({"seed": True}, "seed", None),
    ({"width": 100}, "width", 96),
    ({"width": 100, "model": "CogVideoX-2b"}, "width", 720),
    ({"width": 0}, "width", 64),
    ({"width": 1360, "height": 1360}, "height", 768),
    ({"negative_prompt": "dull", "guidance_scale": 1}, "negative_prompt", None),
    ({"image": "s3://bucket/cat.png"}, "image", None),
    ({"num_frame": 49}, "num_frame", "num_frames"),
    ({"numFrames": 49}, "numFrames", "num_frames"),
    ({"guidance": 6}, "guidance", "guidance_scale"),
    ({"zzzzzz": 6}, "zzzzzz", None),
    ({"model": "CogVideoX-2B"}, "model", "CogVideoX-2b"),
    ({"model": ""}, "model", "CogVideoX-tiny"),
    ({"model": 7}, "model", "CogVideoX-tiny"),
    ({"profile": "A100"}, "profile", None),
    ({"n": 0}, "n", 1),
    ({"n": 9}, "n", 8),
    ({"n": True}, "n", None),
    ({"seed": 2**63 - 1, "n": 2}, "seed", 2**63 - 2),
    ({"webhook": "example.com"}, "webhook.url", None),
    ({"webhook": {"url": "ftp://example.com"}}, "webhook.url", None),
    ({"webhook": {"url": "https://"}}, "webhook.url", None),
    ({"webhook": {"url": "https://a b/"}}, "webhook.url", None),
    ({"webhook": {"url": "https://example.com:99999/"}}, "webhook.url", None),
    ({"webhook": {"url": "https://somebody:secret@example.com/"}}, "webhook.url", None),
    ({"webhook": {"url": "https://[::1/"}}, "webhook.url", None),
    ({"webhook": {"uri": "https://example.com"}}, "webhook.url", None),
    ({"webhook": 7}, "webhook", None),
]


@pytest.mark.parametrize(("mistake", "field", "nearest"), MISTAKES)
def test_a_mistake_is_told_with_its_field_and_the_nearest_legal_value(
    mistake: dict[str, Any], field: str, nearest: Any, catalogue: Catalogue
) -> None:
    with pytest.raises(InvalidInput) as caught:
        order_of({"prompt": "a squirrel"} | mistake, catalogue)
    assert (caught.value.field, caught.value.nearest) == (field, nearest)
    assert caught.value.message.startswith(field)


@pytest.mark.parametrize(("mistake", "field", "nearest"), [case for case in MISTAKES if case[2] is not None])
def test_the_nearest_value_is_legal(mistake: dict[str, Any], field: str, nearest: Any, catalogue: Catalogue) -> None:
    body = {"prompt": "a squirrel"} | mistake
    known = field in {"num_frames", "fps", "steps", "guidance_scale", "seed", "width", "height", "model", "n"}
    mended = body | {field: nearest} if known else {nearest: body.pop(field)} | body
    assert order_of(mended, catalogue)


def test_no_body_and_no_prompt_are_told_as_a_missing_prompt(catalogue: Catalogue) -> None:
    with pytest.raises(InvalidInput, match="prompt is required"):
        order_of({}, catalogue)


def test_an_unknown_model_has_its_own_code(catalogue: Catalogue) -> None:
    with pytest.raises(InvalidInput) as caught:
        order_of({"prompt": "a squirrel", "model": "Sora"}, catalogue)
    assert caught.value.code == "UnknownModel"


def test_messages_spell_fields_as_rest_clients_do(catalogue: Catalogue) -> None:
    with pytest.raises(InvalidInput, match="unless guidance_scale is greater than 1"):
        order_of({"prompt": "a", "negative_prompt": "b", "guidance_scale": 0.5}, catalogue)


def test_the_body_of_the_seed_service_becomes_a_spec(catalogue: Catalogue) -> None:
    request = {"prompt": "a squirrel", "numFrames": 49, "guidanceScale": 4.5, "seed": 42, "fps": 12}
    spec = order_of(SEED_BODY, catalogue).spec.dump()
    assert spec["request"] == request | {"model": "CogVideoX-tiny"}
    assert spec["profile"] == "default"


@pytest.mark.parametrize("body", [{"prompt": "a"}, {"prompt": "a", "model": None}])
def test_the_default_model_is_written_down(body: dict[str, Any], catalogue: Catalogue) -> None:
    assert order_of(body, catalogue).spec.request.model == "CogVideoX-tiny"


def test_a_null_is_as_good_as_nothing(catalogue: Catalogue) -> None:
    body = dict.fromkeys(GenerateRequest.model_fields) | {"prompt": "a"}
    assert order_of(body, catalogue) == order_of({"prompt": "a"}, catalogue)


def test_the_profile_goes_beside_the_request(catalogue: Catalogue) -> None:
    spec = order_of({"prompt": "a", "profile": "h100"}, catalogue).spec
    assert spec.profile == "h100"
    assert "profile" not in spec.dump()["request"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'"a"',
        b"null",
        b'{"prompt": NaN}',
        b'{"prompt": "\\ud800"}',
        b"[" * 100_000,
        b'{"seed": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_json_object_is_told_as_such(content: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_body("application/json", content)
    assert caught.value.field == "body"


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_another_content_type_is_told_with_the_right_one(content_type: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_body(content_type, b"{}")
    assert (caught.value.field, caught.value.nearest) == ("Content-Type", "application/json")


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_read_under_all_its_spellings(content_type: str) -> None:
    assert parse_body(content_type, json.dumps(SEED_BODY).encode()) == SEED_BODY


@pytest.mark.parametrize(
    "url", ["https://example.com/hook?id=7", "http://127.0.0.1:9000/", "https://xn--bcher-kva.example"]
)
def test_a_webhook_is_an_object_or_its_url_alone(url: str, catalogue: Catalogue) -> None:
    for webhook in (url, {"url": url}):
        spec = order_of({"prompt": "a", "webhook": webhook}, catalogue).spec.dump()
        assert spec["webhook"] == {"url": url}


def test_several_videos_differ_in_their_seeds(catalogue: Catalogue) -> None:
    order = order_of({"prompt": "a", "n": 3, "seed": 7}, catalogue)
    assert [name_in_batch("job-x", number) for number in range(order.count)] == ["job-x", "job-x-2", "job-x-3"]
    assert [order.spec_of("job-x", number).request.seed for number in range(order.count)] == [7, 8, 9]
    assert order.spec_of("job-x", 2).request.prompt == "a"


def test_without_a_seed_the_name_draws_one_for_several_and_the_renderer_for_one(catalogue: Catalogue) -> None:
    several = order_of({"prompt": "a", "n": 2}, catalogue)
    seeds = [several.spec_of("job-x", number).request.seed for number in (0, 1, 0)]
    assert seeds[0] is not None
    assert seeds == [seeds[0], seeds[0] + 1, seeds[0]]
    assert several.spec_of("job-y", 0).request.seed != seeds[0]
    assert order_of({"prompt": "a"}, catalogue).spec_of("job-x", 0).request.seed is None
