"""Noise into latents: the denoising loop of diffusers' CogVideoXPipeline (0.42.1), step by step in our hands.

It gives the same bits as the stock pipeline (tested for every family and scheduler). It is our own because each step
is a value here: progress is true, SIGTERM can end it between two steps, and everything that the next step depends on
can be seen: latents, step, the scheduler's memory, the random generator. (The stock callback does not see the memory
of the DPM scheduler.)
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from diffusers import CogVideoXDPMScheduler
from diffusers.utils.torch_utils import randn_tensor

from videojob_renderer.errors import NonFiniteLatents
from videojob_renderer.stock import StockPipeline

ETA = 0.0
"""DDIM's share of fresh noise a step; the stock pipeline's default."""


@dataclass(frozen=True, slots=True, eq=False)
class DenoiseState:
    """All that the next step depends on, together with the generator.

    Attributes:
        step: steps done.
        latents: (1, latent frames, channels, height / 8, width / 8)
        previous_x0: the scheduler's last prediction of the clean latents, float32; only the DPM scheduler has one.
    """

    step: int
    latents: torch.Tensor
    previous_x0: torch.Tensor | None = None


@torch.inference_mode()
def encode_prompt(
    pipeline: StockPipeline, prompt: str, negative_prompt: str, guidance_scale: float
) -> torch.Tensor:  # (1 or 2, 226, text width)
    """Turn the prompt into embeddings, preceded by those of the negative prompt where there is guidance."""
    embeddings, negative = pipeline.encode_prompt(prompt, negative_prompt or None, guidance_scale > 1)
    return embeddings if negative is None else torch.cat([negative, embeddings])


def padding_latent_frames(pipeline: StockPipeline, num_frames: int) -> int:
    """Count the latent frames that 1.5 puts in front to fill its two-frame tokens; they are dropped before decoding."""
    patch_frames = pipeline.transformer.config.patch_size_t
    return -_latent_frames(pipeline, num_frames) % int(patch_frames) if patch_frames else 0


@torch.inference_mode()
def initial_state(
    pipeline: StockPipeline,
    *,
    num_frames: int,
    height: int,
    width: int,
    generator: torch.Generator,
    device: torch.device,
    dtype: torch.dtype,
) -> DenoiseState:
    """Draw the noise. A generator of the CPU draws the same on every GPU."""
    shape = (
        1,
        _latent_frames(pipeline, num_frames) + padding_latent_frames(pipeline, num_frames),
        pipeline.transformer.config.in_channels,
        height // pipeline.vae_scale_factor_spatial,
        width // pipeline.vae_scale_factor_spatial,
    )
    noise = randn_tensor(shape, generator=generator, device=device, dtype=dtype)
    return DenoiseState(step=0, latents=noise * pipeline.scheduler.init_noise_sigma)


@torch.inference_mode()
def denoise(
    pipeline: StockPipeline,
    state: DenoiseState,
    embeddings: torch.Tensor,
    *,
    steps: int,
    guidance_scale: float,
    generator: torch.Generator,
) -> Iterator[DenoiseState]:
    """Yield the state after each step.

    Args:
        pipeline: transformer and scheduler are used.
        state: where to begin.
        embeddings: from `encode_prompt`, with the same guidance scale.
        steps: in all, also when `state` is not the first.
        guidance_scale: how far to go beyond the unguided prediction; up to 1 there is no guidance.
        generator: the one that drew the noise.

    Raises:
        NonFiniteLatents: a step gave NaN or infinity.
    """
    scheduler = pipeline.scheduler
    scheduler.set_timesteps(steps, device=state.latents.device)
    timesteps = scheduler.timesteps
    is_dpm = isinstance(scheduler, CogVideoXDPMScheduler)
    rotary = _rotary_embeddings(pipeline, state.latents)
    for index in range(state.step, len(timesteps)):
        prediction = _predict(
            pipeline, state.latents, embeddings, timesteps[index], rotary=rotary, guidance_scale=guidance_scale
        )
        if is_dpm:
            before = timesteps[index - 1] if index > 0 else None
            latents, previous_x0 = scheduler.step(
                prediction,
                state.previous_x0,
                timesteps[index],
                before,
                state.latents,
                eta=ETA,
                generator=generator,
                return_dict=False,
            )
        else:
            previous_x0 = None
            latents = scheduler.step(
                prediction, timesteps[index], state.latents, eta=ETA, generator=generator, return_dict=False
            )[0]
        state = DenoiseState(step=index + 1, latents=latents.to(embeddings.dtype), previous_x0=previous_x0)
        _hold_finite(state, steps)
        yield state


def _predict(
    pipeline: StockPipeline,
    latents: torch.Tensor,
    embeddings: torch.Tensor,
    timestep: torch.Tensor,
    *,
    rotary: tuple[torch.Tensor, torch.Tensor] | None,
    guidance_scale: float,
) -> torch.Tensor:  # like latents, float32
    """Run the transformer on one step; with guidance, on both prompts at once."""
    guided = guidance_scale > 1
    model_input: torch.Tensor = pipeline.scheduler.scale_model_input(
        torch.cat([latents] * 2) if guided else latents, timestep
    )
    with pipeline.transformer.cache_context("cond_uncond"):
        prediction: torch.Tensor = pipeline.transformer(
            hidden_states=model_input,
            encoder_hidden_states=embeddings,
            timestep=timestep.expand(model_input.shape[0]),
            image_rotary_emb=rotary,
            return_dict=False,
        )[0].float()
    if not guided:
        return prediction
    unguided, prompted = prediction.chunk(2)
    return unguided + guidance_scale * (prompted - unguided)


def _hold_finite(state: DenoiseState, steps: int) -> None:
    # Reading one number also waits for the GPU, without which progress would run ahead of the work.
    if not torch.isfinite(state.latents).all():
        raise NonFiniteLatents(f"the model gave NaN or infinity in step {state.step} of {steps}")


def _latent_frames(pipeline: StockPipeline, num_frames: int) -> int:
    return (num_frames - 1) // pipeline.vae_scale_factor_temporal + 1


def _rotary_embeddings(pipeline: StockPipeline, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    if not pipeline.transformer.config.use_rotary_positional_embeddings:
        return None
    frames, _, height, width = latents.shape[1:]
    scale = pipeline.vae_scale_factor_spatial
    return pipeline._prepare_rotary_positional_embeddings(height * scale, width * scale, frames, latents.device)  # noqa: SLF001 - the one copy of this arithmetic
