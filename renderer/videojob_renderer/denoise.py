"""Noise into latents: the denoising loop of diffusers' CogVideoX pipelines (0.42.1), step by step in our hands.

It gives the same bits as CogVideoXPipeline and CogVideoXImageToVideoPipeline (tested for every family and scheduler).
It is our own because each step is a value here: whoever iterates sees all that the next step depends on (latents, step,
the scheduler's memory, the random generator), and so can report progress, save it, or end between two steps. (The stock
callback does not see the memory of the DPM scheduler.)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import CogVideoXDPMScheduler
from diffusers.utils.torch_utils import randn_tensor

from videojob_renderer.conditioning import Conditioning
from videojob_renderer.errors import NonFiniteLatents
from videojob_renderer.guidance import Guidance
from videojob_renderer.stock import StockPipeline

ETA = 0.0
"""DDIM's share of fresh noise a step; the stock pipeline's default."""

OFS = 2.0
"""The one value of the `ofs` embedding that 1.5-5B-I2V was trained with."""


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


def padding_latent_frames(pipeline: StockPipeline, num_frames: int) -> int:
    """Count the latent frames that 1.5 puts in front to fill its two-frame tokens; they are dropped before decoding."""
    patch_frames = pipeline.transformer.config.patch_size_t
    return -_latent_frames(pipeline, num_frames) % int(patch_frames) if patch_frames else 0


def latents_shape(pipeline: StockPipeline, *, num_frames: int, height: int, width: int) -> tuple[int, ...]:
    """Say the shape of a video's latents, padding frames included."""
    return (
        1,
        _latent_frames(pipeline, num_frames) + padding_latent_frames(pipeline, num_frames),
        # An image-to-video transformer takes the image's latents in as many channels again; out come the video's.
        pipeline.transformer.config.out_channels,
        height // pipeline.vae_scale_factor_spatial,
        width // pipeline.vae_scale_factor_spatial,
    )


@torch.inference_mode()
def initial_state(
    pipeline: StockPipeline,
    shape: tuple[int, ...],
    *,
    generator: torch.Generator,
    device: torch.device,
    dtype: torch.dtype,
) -> DenoiseState:
    """Draw the noise. A generator of the CPU draws the same on every GPU."""
    noise = randn_tensor(shape, generator=generator, device=device, dtype=dtype)
    return DenoiseState(step=0, latents=noise * pipeline.scheduler.init_noise_sigma)


@torch.inference_mode()
def denoise(
    pipeline: StockPipeline,
    state: DenoiseState,
    conditioning: Conditioning,
    *,
    steps: int,
    guidance: Guidance,
    generator: torch.Generator,
) -> Iterator[DenoiseState]:
    """Yield the state after each step.

    Args:
        pipeline: transformer and scheduler are used.
        state: where to begin.
        conditioning: what the video is to show, encoded for the same guidance.
        steps: in all, also when `state` is not the first.
        guidance: how far to go beyond the unguided prediction.
        generator: the one that drew the noise.

    Raises:
        NonFiniteLatents: a step gave NaN or infinity.
    """
    scheduler = pipeline.scheduler
    scheduler.set_timesteps(steps, device=state.latents.device)
    timesteps = scheduler.timesteps
    rotary = _rotary_embeddings(pipeline, state.latents)
    ofs = _ofs(pipeline, state.latents)
    for index in range(state.step, steps):
        predictions = _predict(pipeline, state.latents, conditioning, timesteps[index], rotary=rotary, ofs=ofs)
        prediction = guidance.combine(predictions, timesteps[index], steps)
        latents, previous_x0 = _step(scheduler, prediction, state, timesteps, generator)
        state = DenoiseState(index + 1, latents.to(conditioning.dtype), previous_x0)
        _hold_finite(state, steps)
        yield state


def _predict(
    pipeline: StockPipeline,
    latents: torch.Tensor,
    conditioning: Conditioning,
    timestep: torch.Tensor,
    *,
    rotary: tuple[torch.Tensor, torch.Tensor] | None,
    ofs: torch.Tensor | None,
) -> torch.Tensor:  # (1 or 2, latent frames, channels, height / 8, width / 8), float32
    """Run the transformer on one step: for each prompt of the conditioning, all at once."""
    batch = conditioning.embeddings.shape[0]
    model_input: torch.Tensor = pipeline.scheduler.scale_model_input(torch.cat([latents] * batch), timestep)
    if conditioning.image_latents is not None:
        model_input = torch.cat([model_input, torch.cat([conditioning.image_latents] * batch)], dim=2)
    with pipeline.transformer.cache_context("cond_uncond"):
        predictions: torch.Tensor = pipeline.transformer(
            hidden_states=model_input,
            encoder_hidden_states=conditioning.embeddings,
            timestep=timestep.expand(batch),
            ofs=ofs,
            image_rotary_emb=rotary,
            return_dict=False,
        )[0]
    return predictions.float()


def _step(
    scheduler: Any,
    prediction: torch.Tensor,
    state: DenoiseState,
    timesteps: torch.Tensor,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Go from one noise level to the next; return the latents and what the scheduler remembers."""
    now = timesteps[state.step]
    options = {"eta": ETA, "generator": generator, "return_dict": False}
    is_dpm = isinstance(scheduler, CogVideoXDPMScheduler)
    if is_dpm:
        before = timesteps[state.step - 1] if state.step > 0 else None
        latents, x0 = scheduler.step(prediction, state.previous_x0, now, before, state.latents, **options)
        return latents, x0
    return scheduler.step(prediction, now, state.latents, **options)[0], None


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


def _ofs(pipeline: StockPipeline, latents: torch.Tensor) -> torch.Tensor | None:
    return None if pipeline.transformer.config.ofs_embed_dim is None else latents.new_full((1,), OFS)
