"""A known prompt needs no text encoder and gives the same bits; and nothing that the cache meets fails a render."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from types_boto3_s3 import S3Client

from videojob.resolve import ResolvedRequest
from videojob_local.s3 import Storage
from videojob_renderer.conditioning import encode_prompt
from videojob_renderer.embeddings import PromptEmbeddings, embedding_digest, encoder_digest, texts_of
from videojob_renderer.environment import Settings
from videojob_renderer.pipeline import load
from videojob_renderer.storage import ObjectStorage

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
BUCKET = "videos"

MakeRequest = Callable[..., ResolvedRequest]


@pytest.fixture
def door(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> ObjectStorage:
    for name, value in storage.environment().items():
        monkeypatch.setenv(name, value)
    return ObjectStorage()


@pytest.fixture
def request_of_model(make_request: MakeRequest, model_folder: Path) -> ResolvedRequest:
    return make_request(source=str(model_folder), negative_prompt="blurry")


def prompts(
    request: ResolvedRequest, door: ObjectStorage | None, prefix: str, namespace: str = "studio"
) -> PromptEmbeddings:
    api = "https://api"
    settings = Settings("squirrel", namespace, "uid-1", "pod", api, Path("/t"), BUCKET, prefix, None, request)
    return PromptEmbeddings(texts_of(request), door, settings)


def keys(stored: S3Client, prefix: str) -> list[str]:
    return [entry["Key"] for entry in stored.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]


def test_a_prompt_that_was_seen_before_needs_no_text_encoder_and_gives_the_same_bits(
    request_of_model: ResolvedRequest, door: ObjectStorage, stored: S3Client
) -> None:
    first = prompts(request_of_model, door, "once")
    loaded = load(request_of_model, first.look_up)
    pipeline: Any = loaded.pipeline
    stock = encode_prompt(pipeline, request_of_model.prompt, "blurry", is_guided=True)
    assert torch.equal(first.encode(pipeline, CPU), stock)
    assert pipeline.text_encoder is None, "9.5 GB that nothing needs any more"
    first.close(60)
    assert first.state == "miss"
    assert len(keys(stored, "once/embeddings/studio/")) == 2

    second = prompts(request_of_model, door, "once")
    again: Any = load(request_of_model, second.look_up).pipeline
    assert second.state == "hit"
    assert again.text_encoder is None
    assert torch.equal(second.encode(again, CPU), stock)

    elsewhere = prompts(request_of_model, door, "once", "research")
    assert elsewhere.look_up(Path(request_of_model.source), CPU, torch.float32)
    assert elsewhere.state == "miss", "what another namespace has kept is not believed"


def test_a_prompt_that_is_too_long_says_how_much_of_it_is_not_read(
    request_of_model: ResolvedRequest, door: ObjectStorage, stored: S3Client, caplog: pytest.LogCaptureFixture
) -> None:
    """The tiny tokenizer has a token for each character, and one each for the beginning and the end."""
    request = request_of_model.model_copy(update={"prompt": "x" * 300})
    first = prompts(request, door, "long")
    pipeline: Any = load(request, first.look_up).pipeline
    tokens = len(pipeline.tokenizer(request.prompt).input_ids)
    embeddings = first.encode(pipeline, CPU)
    expected = {"prompt_tokens_cut": tokens - 226, "negative_prompt_tokens_cut": None}
    assert tokens > 300
    assert first.tokens_cut() == expected
    first.close(60)
    assert "its end is cut off" in caplog.text
    assert "xxx" not in caplog.text

    second = prompts(request, door, "long")
    assert torch.equal(second.encode(load(request, second.look_up).pipeline, CPU), embeddings)
    assert (second.state, second.tokens_cut()) == ("hit", expected)

    for key in keys(stored, "long/"):  # as an earlier version has written them
        body = stored.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        size = 8 + int.from_bytes(body[:8], "little")
        stored.put_object(Bucket=BUCKET, Key=key, Body=body[:size].replace(b'"tokens"', b'"nekots"') + body[size:])
    third = prompts(request, door, "long")
    third.encode(load(request, third.look_up).pipeline, CPU)
    assert (third.state, third.tokens_cut()["prompt_tokens_cut"]) == ("hit", None)


def test_the_longest_prompt_that_is_read_whole_is_not_cut(request_of_model: ResolvedRequest) -> None:
    kept, cut = (request_of_model.model_copy(update={"prompt": "x" * count}) for count in (224, 225))
    for request, expected in ((kept, None), (cut, 1)):
        texts = prompts(request, None, "none")
        texts.encode(load(request, texts.look_up).pipeline, CPU)
        assert texts.tokens_cut()["prompt_tokens_cut"] == expected


def test_a_damaged_entry_is_made_anew(
    request_of_model: ResolvedRequest, door: ObjectStorage, stored: S3Client, model_folder: Path
) -> None:
    first = prompts(request_of_model, door, "damaged")
    embeddings = first.encode(load(request_of_model, first.look_up).pipeline, CPU)
    first.close(60)
    one, other = keys(stored, "damaged/")
    body = stored.get_object(Bucket=BUCKET, Key=one)["Body"].read()
    stored.put_object(Bucket=BUCKET, Key=one, Body=body[:-1] + bytes([body[-1] ^ 1]))
    stored.put_object(Bucket=BUCKET, Key=other, Body=b"")

    second = prompts(request_of_model, door, "damaged")
    loaded = load(request_of_model, second.look_up)
    assert second.state == "miss"
    assert torch.equal(second.encode(loaded.pipeline, CPU), embeddings)
    second.close(60)
    assert stored.get_object(Bucket=BUCKET, Key=one)["Body"].read() == body
    assert not prompts(request_of_model, door, "damaged").look_up(model_folder, CPU, torch.float32)


def test_a_storage_that_is_away_costs_the_cache_only(
    request_of_model: ResolvedRequest, monkeypatch: pytest.MonkeyPatch, storage: Storage
) -> None:
    for name, value in storage.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    away = prompts(request_of_model, ObjectStorage(), "away")
    loaded = load(request_of_model, away.look_up)
    assert away.encode(loaded.pipeline, CPU).shape == (2, 226, 32)
    away.close(60)


def test_without_a_cache_the_encoder_is_used_and_nothing_is_kept(request_of_model: ResolvedRequest) -> None:
    none = prompts(request_of_model, None, "none")
    loaded = load(request_of_model, none.look_up)
    assert none.encode(loaded.pipeline, CPU).shape == (2, 226, 32)
    assert none.state == "off"


def test_a_key_tells_apart_all_that_decides_the_bits_and_shows_no_prompt(model_folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(model_folder, tmp_path / "other"))
    weights = other / "text_encoder/model.safetensors"
    body = bytearray(weights.read_bytes())
    body[-1] ^= 1
    weights.write_bytes(body)
    plain = {"encoder": encoder_digest(model_folder), "device": "cpu", "dtype": torch.float32, "text": "squirrel"}
    changes: list[dict[str, Any]] = [
        {},
        {"encoder": encoder_digest(other)},
        {"device": "NVIDIA H100 80GB HBM3"},
        {"dtype": torch.bfloat16},
        {"text": "Squirrel"},
    ]
    made = [embedding_digest(**(plain | change)) for change in changes]
    assert len(set(made)) == len(made)
    assert not any("squirrel" in digest for digest in made)


def test_without_guidance_the_negative_prompt_is_not_encoded(make_request: MakeRequest) -> None:
    assert texts_of(make_request(prompt="yes", guidance_scale=1.0)) == ("yes",)
    assert texts_of(make_request(prompt="yes", guidance_scale=1.5)) == ("", "yes")
