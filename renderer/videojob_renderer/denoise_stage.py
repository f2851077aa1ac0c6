"""The denoising stage of one pod: begins where an earlier one ended, leaves checkpoints, ends between two steps.

The algorithm is in `denoise`; here is what leads to its first step, and what happens around each.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from videojob.resolve import ResolvedRequest
from videojob_renderer.checkpoint import Checkpoint
from videojob_renderer.checkpoint_store import CheckpointStore
from videojob_renderer.conditioning import Conditioning, encode_image, encode_prompt
from videojob_renderer.denoise import DenoiseState, denoise, initial_state, latents_shape
from videojob_renderer.errors import Interrupted
from videojob_renderer.fingerprint import Fingerprint, digest_of_weights, fingerprint, with_speed
from videojob_renderer.guidance import Guidance
from videojob_renderer.image_input import InputImage
from videojob_renderer.interruption import Interruption
from videojob_renderer.pipeline import LoadedPipeline
from videojob_renderer.resume import Beginning, Found, begin
from videojob_renderer.speed.ladder import Ladder
from videojob_renderer.speed.step_caches import is_refresh_step, refresh

StepHook = Callable[[DenoiseState], None]
"""Is called after each step with its state; what it raises ends the render."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is to be denoised.

    Attributes:
        shape: of the latents, padding frames included.
        steps: in all.
        guidance: of all steps.
        fingerprint: goes into the checkpoints, with the speed options of their moment.
        beginning: seed, generator, and the checkpoint to go on from.
    """

    shape: tuple[int, ...]
    steps: int
    guidance: Guidance
    fingerprint: Fingerprint
    beginning: Beginning


def make_plan(
    loaded: LoadedPipeline,
    request: ResolvedRequest,
    image: InputImage | None,
    found: Found,
    speed: Mapping[str, Any] | None = None,
) -> Plan:
    """Decide what is denoised, and from where.

    Args:
        loaded: the pipeline.
        request: what to render.
        image: the input image of an image-to-video model.
        found: what an earlier pod left.
        speed: the options that took effect.
    """
    size = {"num_frames": request.num_frames, "height": request.height, "width": request.width}
    shape = latents_shape(loaded.pipeline, **size)
    ours = fingerprint(
        request,
        weights=digest_of_weights(*loaded.weights),
        device=loaded.device,
        dtype=loaded.dtype,
        scheduler=loaded.pipeline.scheduler,
        image_sha256=image.sha256 if image else None,
        speed=speed,
    )
    beginning = begin(request, found, ours, shape=shape, dtype=loaded.dtype)
    guidance = Guidance(request.guidance_scale, dynamic=bool(request.dynamic_guidance))
    return Plan(shape, request.steps, guidance, ours, beginning)


def encode(
    loaded: LoadedPipeline,
    request: ResolvedRequest,
    image: InputImage | None,
    plan: Plan,
    embeddings: torch.Tensor | None = None,
) -> Conditioning:
    """Turn prompts and image into what each step is conditioned on; the image draws from the plan's generator.

    Args:
        loaded: the pipeline.
        request: has the prompts.
        image: of an image-to-video model.
        plan: whose guidance and generator are used.
        embeddings: of the prompts, where they are known already.
    """
    if embeddings is None:
        is_guided = plan.guidance.is_on
        embeddings = encode_prompt(loaded.pipeline, request.prompt, request.negative_prompt, is_guided=is_guided)
    if image is None:
        return Conditioning(embeddings)
    image_latents = encode_image(
        loaded.pipeline,
        image.pixels,
        plan.shape,
        generator=plan.beginning.generator,
        device=loaded.device,
        dtype=embeddings.dtype,
    )
    return Conditioning(embeddings, image_latents)


def run_denoise_stage(
    loaded: LoadedPipeline,
    plan: Plan,
    conditioning: Conditioning,
    *,
    store: CheckpointStore,
    interruption: Interruption,
    ladder: Ladder | None = None,
    speed: Callable[[], Mapping[str, Any]] = dict,
    hooks: tuple[StepHook, ...] = (),
) -> torch.Tensor:  # of the plan's shape
    """Denoise to the end.

    Args:
        loaded: the pipeline.
        plan: what and from where.
        conditioning: what the video is to show.
        store: takes the checkpoints: when one is due, of the last step, and when the process is asked to end.
        interruption: asked to hold each step together.
        ladder: what to do when the GPU runs out of memory; None = fail.
        speed: says which options are in effect now; on its way down the ladder a render gives some up.
        hooks: see `StepHook`.

    Raises:
        NonFiniteLatents: a step gave NaN or infinity.
        Interrupted: the process was asked to stop; the last step's checkpoint waits to be written.
    """
    generator = plan.beginning.generator
    state = _first_state(loaded, plan, conditioning.dtype)

    def continue_from(state: DenoiseState) -> Iterator[DenoiseState]:
        return denoise(
            loaded.pipeline, state, conditioning, steps=plan.steps, guidance=plan.guidance, generator=generator
        )

    states = ladder.states(continue_from, state) if ladder else continue_from(state)

    def save() -> None:
        ours = with_speed(plan.fingerprint, speed())
        store.put(Checkpoint.take(state, generator, plan.beginning.seed, ours).encode)

    is_whole = True
    try:
        while state.step < plan.steps:
            with interruption.deferred():
                state = next(states)
                for hook in hooks:
                    hook(state)
                # A cache remembers earlier steps, which no checkpoint holds: it forgets them at fixed steps, and only
                # there is saved, so that who goes on from there computes the same.
                is_whole = not loaded.pipeline.transformer.is_cache_enabled or is_refresh_step(state.step)
                if is_whole:
                    refresh(loaded.pipeline.transformer)
                # The last one saves the denoising, should the decoding fail.
                if (store.is_due() and is_whole) or state.step == plan.steps:
                    save()
    except Interrupted:
        # With a cache, the checkpoint of the last refresh step stays the one to go on from.
        if is_whole and state.step > plan.beginning.step:
            save()
        raise
    return state.latents


def _first_state(loaded: LoadedPipeline, plan: Plan, dtype: torch.dtype) -> DenoiseState:
    """Draw the noise, or go on from the checkpoint, whose generator has all draws so far behind it."""
    generator, checkpoint = plan.beginning.generator, plan.beginning.checkpoint
    if checkpoint is None:
        return initial_state(loaded.pipeline, plan.shape, generator=generator, device=loaded.device, dtype=dtype)
    generator.set_state(checkpoint.generator_state)
    return checkpoint.state_on(loaded.device)
