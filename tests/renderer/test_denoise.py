"""The own denoising loop and the streaming decoder give the bits of the stock pipelines, for every family."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler
from PIL import Image

from videojob.families import Family
from videojob_renderer.conditioning import Conditioning, encode_image, encode_prompt
from videojob_renderer.decode import count_chunks, decode
from videojob_renderer.denoise import DenoiseState, denoise, initial_state, latents_shape, padding_latent_frames
from videojob_renderer.errors import NonFiniteLatents
from videojob_renderer.guidance import Guidance

pytestmark = pytest.mark.torch

PROMPT = "A squirrel riding a skateboard in Times Square"
NEGATIVE = "blurry"

FRAMES = {
    Family.COGVIDEOX_2B: 9,
    Family.COGVIDEOX_5B: 9,
    Family.COGVIDEOX_1_5: 17,
    Family.COGVIDEOX_5B_I2V: 9,
    Family.COGVIDEOX_1_5_I2V: 17,
}
FAMILIES = [*FRAMES]

Build = Callable[[Family], Any]


def size_of(family: Family) -> tuple[int, int]:
    """Height and width: 5b-i2v has learned positions, so it knows one size only."""
    return (64, 96) if family is Family.COGVIDEOX_5B_I2V else (48, 64)


def picture() -> Image.Image:
    """An image of another size and shape than the video."""
    rows, columns = np.mgrid[0:90, 0:70]
    return Image.fromarray(np.stack([rows * 2, columns * 3, rows + columns], axis=-1).astype(np.uint8))


def run_states(
    pipeline: Any, family: Family, frames: int, *, steps: int = 3, guidance: Guidance | None = None
) -> list[DenoiseState]:
    guidance = guidance or Guidance(6.0)
    generator = torch.Generator("cpu").manual_seed(42)
    height, width = size_of(family)
    shape = latents_shape(pipeline, num_frames=frames, height=height, width=width)
    embeddings = encode_prompt(pipeline, PROMPT, NEGATIVE, is_guided=guidance.is_on)
    drawing: dict[str, Any] = {"generator": generator, "device": torch.device("cpu"), "dtype": embeddings.dtype}
    image_latents = encode_image(pipeline, picture(), shape, **drawing) if family.takes_image else None
    conditioning = Conditioning(embeddings, image_latents)
    start = initial_state(pipeline, shape, **drawing)
    return list(denoise(pipeline, start, conditioning, steps=steps, guidance=guidance, generator=generator))


def run_stock(
    pipeline: Any, family: Family, frames: int, output: str, *, steps: int = 3, guidance: Guidance | None = None
) -> Any:
    guidance = guidance or Guidance(6.0)
    height, width = size_of(family)
    pipeline.set_progress_bar_config(disable=True)
    image = {"image": picture()} if family.takes_image else {}
    return pipeline(
        **image,
        prompt=PROMPT,
        negative_prompt=NEGATIVE,
        num_frames=frames,
        height=height,
        width=width,
        num_inference_steps=steps,
        guidance_scale=guidance.scale,
        use_dynamic_cfg=guidance.dynamic,
        generator=torch.Generator("cpu").manual_seed(42),
        output_type=output,
    ).frames


@pytest.mark.parametrize("family", FAMILIES)
def test_latents_are_those_of_the_stock_pipeline(build_pipeline: Build, family: Family) -> None:
    pipeline = build_pipeline(family)
    ours = run_states(pipeline, family, FRAMES[family])[-1].latents
    assert torch.equal(ours, run_stock(pipeline, family, FRAMES[family], "latent"))


@pytest.mark.parametrize("scheduler", [CogVideoXDDIMScheduler, CogVideoXDPMScheduler])
@pytest.mark.parametrize(
    "guidance", [Guidance(0.0), Guidance(1.0), Guidance(1.5), Guidance(6.0, dynamic=True), Guidance(1.0, dynamic=True)]
)
def test_latents_are_those_of_the_stock_pipeline_with_either_scheduler(
    build_pipeline: Build, scheduler: Any, guidance: Guidance
) -> None:
    family = Family.COGVIDEOX_5B
    pipeline = build_pipeline(family)
    before = pipeline.scheduler
    pipeline.scheduler = scheduler.from_config(before.config)
    try:
        ours = run_states(pipeline, family, 9, guidance=guidance)[-1].latents
        assert torch.equal(ours, run_stock(pipeline, family, 9, "latent", guidance=guidance))
    finally:
        pipeline.scheduler = before


def test_without_guidance_the_transformer_sees_one_prompt_only(build_pipeline: Build) -> None:
    family = Family.COGVIDEOX_2B
    pipeline = build_pipeline(family)
    batches: list[int] = []
    watch = pipeline.transformer.register_forward_pre_hook(
        lambda _module, _positional, named: batches.append(named["hidden_states"].shape[0]), with_kwargs=True
    )
    try:
        run_states(pipeline, family, 9, steps=1, guidance=Guidance(1.0))
        run_states(pipeline, family, 9, steps=1, guidance=Guidance(1.1))
    finally:
        watch.remove()
    assert batches == [1, 2]


@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision_gives_the_same_bits_too(build_pipeline: Build, family: Family) -> None:
    pipeline = build_pipeline(family)
    pipeline.to(torch.bfloat16)
    try:
        ours = run_states(pipeline, family, FRAMES[family], steps=2)[-1].latents
        assert ours.dtype is torch.bfloat16
        assert torch.equal(ours, run_stock(pipeline, family, FRAMES[family], "latent", steps=2))
    finally:
        pipeline.to(torch.float32)


@pytest.mark.parametrize(
    ("family", "frames"),
    [
        (Family.COGVIDEOX_2B, 9),
        (Family.COGVIDEOX_2B, 25),
        (Family.COGVIDEOX_5B, 17),
        (Family.COGVIDEOX_1_5, 17),
        (Family.COGVIDEOX_1_5, 33),
        (Family.COGVIDEOX_5B_I2V, 9),
        (Family.COGVIDEOX_1_5_I2V, 17),
    ],
)
def test_frames_are_those_of_the_stock_pipeline(build_pipeline: Build, family: Family, frames: int) -> None:
    pipeline = build_pipeline(family)
    latents = run_states(pipeline, family, frames, steps=2)[-1].latents[:, padding_latent_frames(pipeline, frames) :]
    chunks = list(decode(pipeline, latents))
    stock = run_stock(pipeline, family, frames, "pil", steps=2)[0]
    assert len(chunks) == count_chunks(pipeline, latents)
    assert [len(chunk) for chunk in chunks] == [9] + [8] * (len(chunks) - 1)
    np.testing.assert_array_equal(np.concatenate(chunks), np.stack([np.asarray(frame) for frame in stock]))


def test_the_image_decides_the_video(build_pipeline: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    family = Family.COGVIDEOX_1_5_I2V
    pipeline = build_pipeline(family)
    one = run_states(pipeline, family, 17, steps=1)[-1].latents
    upside_down = picture().rotate(180)
    monkeypatch.setitem(globals(), "picture", lambda: upside_down)
    assert not torch.equal(one, run_states(pipeline, family, 17, steps=1)[-1].latents)


def test_each_step_is_a_state_from_which_the_rest_follows(build_pipeline: Build) -> None:
    states = run_states(build_pipeline(Family.COGVIDEOX_5B), Family.COGVIDEOX_5B, 9)
    assert [state.step for state in states] == [1, 2, 3]
    assert all(state.previous_x0 is not None for state in states), "the DPM scheduler remembers its last prediction"


def test_non_finite_latents_end_the_loop_at_once(build_pipeline: Build) -> None:
    pipeline = build_pipeline(Family.COGVIDEOX_2B)
    weight = pipeline.transformer.proj_out.bias
    before = weight.detach().clone()
    with torch.no_grad():
        weight[0] = torch.nan
    try:
        with pytest.raises(NonFiniteLatents, match="step 1 of 3"):
            run_states(pipeline, Family.COGVIDEOX_2B, 9)
    finally:
        with torch.no_grad():
            weight.copy_(before)
