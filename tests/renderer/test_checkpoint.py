"""A checkpoint gives back the very state, and one that is damaged or of another render is told from it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from videojob.families import Family
from videojob.resolve import ResolvedRequest
from videojob_renderer.checkpoint import Checkpoint, UnusableCheckpoint, decode
from videojob_renderer.denoise import DenoiseState
from videojob_renderer.fingerprint import Fingerprint, differences, digest_of_weights, fingerprint
from videojob_renderer.resume import Found, begin

pytestmark = pytest.mark.torch

MakeRequest = Callable[..., ResolvedRequest]

SHAPE = (1, 3, 16, 6, 8)
OURS: Fingerprint = {"request": "one", "device": "NVIDIA H100 80GB HBM3", "torch": "2.13.0"}


def checkpoint(*, step: int = 2, seed: int = 7, ours: Fingerprint = OURS) -> Checkpoint:
    generator = torch.Generator("cpu").manual_seed(seed)
    latents = torch.randn(SHAPE, generator=generator).to(torch.bfloat16)
    x0 = torch.randn(SHAPE, generator=generator)
    return Checkpoint.take(DenoiseState(step, latents, x0), generator, seed, ours)


def begin_with(found: bytes | None, request: ResolvedRequest, ours: Fingerprint = OURS) -> Any:
    return begin(request, Found.read(found), ours, shape=SHAPE, dtype=torch.bfloat16)


def test_a_checkpoint_gives_back_the_very_state() -> None:
    saved = checkpoint()
    read = decode(saved.encode())
    assert torch.equal(read.state.latents, saved.state.latents)
    assert read.state.latents.dtype is torch.bfloat16
    assert read.state.previous_x0 is not None
    assert saved.state.previous_x0 is not None
    assert torch.equal(read.state.previous_x0, saved.state.previous_x0)
    assert (read.state.step, read.seed, read.fingerprint) == (2, 7, OURS)
    generator = torch.Generator("cpu")
    generator.set_state(read.generator_state)
    expected = torch.Generator("cpu").manual_seed(7)
    for _ in range(2):
        torch.randn(SHAPE, generator=expected)
    assert torch.equal(torch.randn(5, generator=generator), torch.randn(5, generator=expected))


def test_a_copy_is_taken_before_the_next_step_can_write() -> None:
    state = DenoiseState(1, torch.zeros(SHAPE))
    saved = Checkpoint.take(state, torch.Generator("cpu"), 7, OURS)
    state.latents.fill_(1)
    assert not saved.state.latents.any()


def flip(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


def in_another_format() -> bytes:
    return save({"latents": torch.zeros(1)}, {"format": "videojob-checkpoint-0", "sha256": ""})


def with_another_step(content: bytes) -> bytes:
    return content.replace(b'"step":"2"', b'"step":"3"')


WHOLE = checkpoint().encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged"),
        (b"not a checkpoint", "damaged"),
        (WHOLE[:-1], "damaged"),
        (WHOLE[: len(WHOLE) // 2], "damaged"),
        (flip(WHOLE, len(WHOLE) - 1), "its digest is wrong"),
        (flip(WHOLE, len(WHOLE) // 2), "its digest is wrong"),
        (with_another_step(WHOLE), "its digest is wrong"),
        (in_another_format(), "not of the format"),
        (save({"latents": torch.zeros(1)}), "not of the format"),
    ],
)
def test_what_is_damaged_is_not_used(make_request: MakeRequest, content: bytes, words: str) -> None:
    with pytest.raises(UnusableCheckpoint, match=words):
        decode(content)
    beginning = begin_with(content, make_request(seed=7))
    assert beginning.checkpoint is None
    assert words in beginning.ignored


def test_the_damage_was_really_done() -> None:
    assert with_another_step(WHOLE) != WHOLE
    decode(WHOLE)


def test_a_render_goes_on_from_a_checkpoint_of_its_own(make_request: MakeRequest) -> None:
    beginning = begin_with(WHOLE, make_request(seed=7))
    assert beginning.checkpoint.state.step == 2
    assert (beginning.seed, beginning.ignored) == (7, None)


def test_a_seed_that_an_earlier_pod_drew_is_kept(make_request: MakeRequest) -> None:
    assert begin_with(WHOLE, make_request(seed=None)).seed == 7
    assert begin_with(None, make_request(seed=None)).seed != begin_with(None, make_request(seed=None)).seed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"device": "NVIDIA A100-SXM4-80GB"}, "made with another device"),
        ({"torch": "2.14.0", "request": "two"}, "made with another request, torch"),
        ({"speed fp8": "True"}, "made with another speed fp8"),
    ],
)
def test_a_checkpoint_of_another_render_is_not_used(
    make_request: MakeRequest, caplog: pytest.LogCaptureFixture, change: dict[str, str], words: str
) -> None:
    beginning = begin_with(WHOLE, make_request(seed=7), {**OURS, **change})
    assert beginning.checkpoint is None
    assert words in beginning.ignored
    assert words in caplog.text


def test_a_checkpoint_with_other_latents_is_not_used(make_request: MakeRequest) -> None:
    for found, steps in ((checkpoint(step=4), 3), (checkpoint(step=0), 3)):
        beginning = begin_with(found.encode(), make_request(steps=steps))
        assert beginning.checkpoint is None
        assert "not those of this request" in beginning.ignored
    other = begin(make_request(), Found.read(WHOLE), OURS, shape=SHAPE, dtype=torch.float16)
    assert other.checkpoint is None


def taken(request: ResolvedRequest, pipeline: Any, **changes: Any) -> Fingerprint:
    values = {"weights": "w1", "device": torch.device("cpu"), "dtype": torch.bfloat16, "scheduler": pipeline.scheduler}
    return fingerprint(request, **(values | changes))


def test_a_fingerprint_tells_what_changes_the_bits(make_request: MakeRequest, build_pipeline: Any) -> None:
    pipeline = build_pipeline(Family.COGVIDEOX_2B)
    request = make_request()
    ours = taken(request, pipeline)
    assert differences(ours, taken(make_request(fps=30), pipeline)) == [], "frames a second are of the file"
    assert differences(ours, taken(make_request(seed=43), pipeline)) == ["request"]
    assert differences(ours, taken(make_request(prompt="another"), pipeline)) == ["request"]
    assert differences(ours, taken(request, pipeline, weights="w2")) == ["weights"]
    assert differences(ours, taken(request, pipeline, dtype=torch.float32)) == ["dtype"]
    assert differences(ours, taken(request, pipeline, image_sha256="ab")) == ["image"]
    assert differences(ours, taken(request, pipeline, speed={"fp8": True})) == ["speed fp8"]
    assert differences(ours, taken(request, build_pipeline(Family.COGVIDEOX_5B))) == ["scheduler"]
    assert request.prompt not in json.dumps(dict(ours))


def test_weights_of_the_same_shapes_but_other_values_have_another_digest(model_folder: Path, tmp_path: Path) -> None:
    before = digest_of_weights(model_folder)
    assert before == digest_of_weights(model_folder)
    for file in model_folder.rglob("*"):
        if file.is_file():
            copy = tmp_path / file.relative_to(model_folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    assert digest_of_weights(tmp_path) == before
    weights = tmp_path / "vae/diffusion_pytorch_model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(flip(content, len(content) // 2))
    assert digest_of_weights(tmp_path) != before
