"""The own denoising loop and the streaming decoder give the bits of the stock pipeline."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler

from videojob.families import Family
from videojob_renderer.decode import count_chunks, decode
from videojob_renderer.denoise import DenoiseState, denoise, encode_prompt, initial_state, padding_latent_frames
from videojob_renderer.errors import NonFiniteLatents

pytestmark = pytest.mark.torch

PROMPT = "A squirrel riding a skateboard in Times Square"
NEGATIVE = "blurry"
HEIGHT, WIDTH = 48, 64

FAMILIES = [Family.COGVIDEOX_2B, Family.COGVIDEOX_5B, Family.COGVIDEOX_1_5]
FRAMES = {Family.COGVIDEOX_2B: 9, Family.COGVIDEOX_5B: 9, Family.COGVIDEOX_1_5: 17}

Build = Callable[[Family], Any]


def run_states(pipeline: Any, frames: int, *, steps: int = 3, guidance: float = 6.0) -> list[DenoiseState]:
    generator = torch.Generator("cpu").manual_seed(42)
    embeddings = encode_prompt(pipeline, PROMPT, NEGATIVE, guidance)
    start = initial_state(
        pipeline,
        num_frames=frames,
        height=HEIGHT,
        width=WIDTH,
        generator=generator,
        device=torch.device("cpu"),
        dtype=embeddings.dtype,
    )
    states = denoise(pipeline, start, embeddings, steps=steps, guidance_scale=guidance, generator=generator)
    return list(states)


def run_stock(pipeline: Any, frames: int, output: str, *, steps: int = 3, guidance: float = 6.0) -> Any:
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        prompt=PROMPT,
        negative_prompt=NEGATIVE,
        num_frames=frames,
        height=HEIGHT,
        width=WIDTH,
        num_inference_steps=steps,
        guidance_scale=guidance,
        generator=torch.Generator("cpu").manual_seed(42),
        output_type=output,
    ).frames


@pytest.mark.parametrize("family", FAMILIES)
def test_latents_are_those_of_the_stock_pipeline(build_pipeline: Build, family: Family) -> None:
    pipeline = build_pipeline(family)
    ours = run_states(pipeline, FRAMES[family])[-1].latents
    assert torch.equal(ours, run_stock(pipeline, FRAMES[family], "latent"))


@pytest.mark.parametrize("scheduler", [CogVideoXDDIMScheduler, CogVideoXDPMScheduler])
@pytest.mark.parametrize("guidance", [0.0, 1.0, 1.5])
def test_latents_are_those_of_the_stock_pipeline_with_either_scheduler(
    build_pipeline: Build, scheduler: Any, guidance: float
) -> None:
    pipeline = build_pipeline(Family.COGVIDEOX_5B)
    before = pipeline.scheduler
    pipeline.scheduler = scheduler.from_config(before.config)
    try:
        ours = run_states(pipeline, 9, guidance=guidance)[-1].latents
        assert torch.equal(ours, run_stock(pipeline, 9, "latent", guidance=guidance))
    finally:
        pipeline.scheduler = before


@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision_gives_the_same_bits_too(build_pipeline: Build, family: Family) -> None:
    pipeline = build_pipeline(family)
    pipeline.to(torch.bfloat16)
    try:
        ours = run_states(pipeline, FRAMES[family])[-1].latents
        assert ours.dtype is torch.bfloat16
        assert torch.equal(ours, run_stock(pipeline, FRAMES[family], "latent"))
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
    ],
)
def test_frames_are_those_of_the_stock_pipeline(build_pipeline: Build, family: Family, frames: int) -> None:
    pipeline = build_pipeline(family)
    latents = run_states(pipeline, frames, steps=2)[-1].latents[:, padding_latent_frames(pipeline, frames) :]
    chunks = list(decode(pipeline, latents))
    stock = run_stock(pipeline, frames, "pil", steps=2)[0]
    assert len(chunks) == count_chunks(pipeline, latents)
    assert [len(chunk) for chunk in chunks] == [9] + [8] * (len(chunks) - 1)
    np.testing.assert_array_equal(np.concatenate(chunks), np.stack([np.asarray(frame) for frame in stock]))


def test_each_step_is_a_state_from_which_the_rest_follows(build_pipeline: Build) -> None:
    states = run_states(build_pipeline(Family.COGVIDEOX_5B), 9)
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
            run_states(pipeline, 9)
    finally:
        with torch.no_grad():
            weight.copy_(before)
