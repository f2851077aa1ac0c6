"""A denoising step: the transformer on both halves of guidance, with each lever for itself and with all together."""

from collections.abc import Callable
from typing import Any

import torch

from gpu_bench.device import median_seconds, peak_gib, seconds_of
from gpu_bench.models import Shape, embeddings
from videojob.speed_choices import Attention, StepCache
from videojob_renderer.conditioning import Conditioning
from videojob_renderer.denoise import DenoiseState, denoise, initial_state, latents_shape
from videojob_renderer.guidance import Guidance
from videojob_renderer.speed import attention, compilation, float8, step_caches
from videojob_renderer.speed.guidance import ParallelGuidance, replica

GUIDANCE = Guidance(6.0)
SEED = 42


class Bench:
    """One model on one device, and what is measured of its steps.

    Args:
        pipeline: without a text encoder.
        shape: what is rendered.
        device: that computes.
        dtype: of the weights.
    """

    def __init__(self, pipeline: Any, shape: Shape, device: torch.device, dtype: torch.dtype) -> None:
        self.pipeline = pipeline
        self.shape = shape
        self.device = device
        self.dtype = dtype
        self.conditioning = Conditioning(embeddings(pipeline, 2, device=device, dtype=dtype))
        self.stock_processors = pipeline.transformer.attn_processors
        self._inputs = self._one_step()

    def usable_kernels(self) -> list[Attention]:
        """Name the attention kernels of this device, fastest first by what is published."""
        width = self.pipeline.transformer.config.attention_head_dim
        order = (Attention.CUDNN, Attention.FLASH3, Attention.FLASH, Attention.EFFICIENT)
        where = {"device": self.device, "dtype": self.dtype, "head_width": width}
        return [kernel for kernel in order if attention.is_usable(kernel, **where)]

    @torch.inference_mode()
    def step(self) -> torch.Tensor:
        """Run the transformer once, on both halves."""
        with self.pipeline.transformer.cache_context("cond_uncond"):
            prediction: torch.Tensor = self.pipeline.transformer(**self._inputs)[0]
        return prediction

    def step_ms(self, *, repeats: int = 3, warm_up: int = 1) -> dict[str, Any]:
        """Measure a step: median of a few, and the peak of memory."""
        peak = peak_gib(self.device, self.step)
        seconds = median_seconds(self.step, self.device, repeats=repeats, warm_up=warm_up - 1)
        return {"ms": round(seconds * 1e3, 2), "peak_gib": peak}

    def use_stock(self) -> None:
        """Go back to diffusers' own attention."""
        self.pipeline.transformer.set_attn_processor(dict(self.stock_processors))  # which empties what it is given

    def use(self, kernel: Attention) -> None:
        """Attend with a kernel."""
        attention.use_kernel(self.pipeline.transformer, kernel)

    def compile(self) -> dict[str, Any]:
        """Compile the blocks; measure the first step, which compiles, and later ones."""
        torch._dynamo.reset()  # noqa: SLF001 - the models of earlier measurements
        compilation.compile_blocks(self.pipeline.transformer, whole_graph=True)
        first_seconds = seconds_of(self.step, self.device)
        return {"first_step_seconds": round(first_seconds, 2), **self.step_ms()}

    def do_not_compile(self) -> None:
        """Go back to eager blocks."""
        for block in self.pipeline.transformer.transformer_blocks:
            block._compiled_call_impl = None  # noqa: SLF001 - torch has no way back

    def use_float8(self) -> None:
        """Quantise; there is no way back."""
        float8.use_float8(self.pipeline.transformer)

    def cached_steps(self, cache: StepCache, steps: int) -> dict[str, Any]:
        """Denoise with a cache, and say how much attention it saved: with random weights only that tells something."""
        count = [0]
        handles = [
            block.attn1.to_q.register_forward_pre_hook(lambda *_: count.__setitem__(0, count[0] + 1))
            for block in self.pipeline.transformer.transformer_blocks
        ]
        transformer = self.pipeline.transformer
        name = step_caches.use_cache(transformer, cache)
        seconds: list[float] = []
        try:
            peak = peak_gib(self.device, lambda: seconds.append(seconds_of(lambda: self.denoised(steps), self.device)))
        finally:
            step_caches.refresh(transformer)
            transformer.disable_cache()
            for handle in handles:
                handle.remove()
        attentions = len(transformer.transformer_blocks) * steps
        return {
            "cache": name,
            "ms_per_step": round(seconds[0] / steps * 1e3, 2),
            "peak_gib": peak,
            "attentions_done": f"{count[0]}/{attentions}",
        }

    def parallel_ms(self) -> dict[str, Any]:
        """Measure a step with a GPU for each half; needs two."""
        transformer = self.pipeline.transformer
        second = torch.device("cuda", 1) if torch.cuda.device_count() > 1 else self.device
        self.pipeline.transformer = ParallelGuidance((transformer, replica(transformer, second)))
        try:
            return {"second": str(second), **self.step_ms(warm_up=2)}
        finally:
            self.pipeline.transformer = transformer

    def start(self, generator: torch.Generator) -> DenoiseState:
        """Draw the noise."""
        size = {"num_frames": self.shape.frames, "height": self.shape.height, "width": self.shape.width}
        shape = latents_shape(self.pipeline, **size)
        return initial_state(self.pipeline, shape, generator=generator, device=self.device, dtype=self.dtype)

    def denoised(self, steps: int, each: Callable[[DenoiseState], None] = lambda _: None) -> torch.Tensor:
        """Denoise with the renderer's own loop and return the latents."""
        generator = torch.Generator("cpu").manual_seed(SEED)
        state = self.start(generator)
        for reached in self.continued(state, steps, generator):
            state = reached
            each(state)
        return state.latents

    def continued(self, state: DenoiseState, steps: int, generator: torch.Generator) -> Any:
        """Go on from a state."""
        return denoise(self.pipeline, state, self.conditioning, steps=steps, guidance=GUIDANCE, generator=generator)

    def resumed_is_identical(self, steps: int) -> dict[str, Any]:
        """Denoise twice to the end, the second time going on half way from a saved state in fresh objects."""
        saved: list[Any] = []
        generator = torch.Generator("cpu").manual_seed(SEED)
        state = self.start(generator)
        for reached in self.continued(state, steps, generator):
            state = reached
            if state.step == steps // 2:
                old = None if state.previous_x0 is None else state.previous_x0.cpu().clone()
                saved = [state.step, state.latents.cpu().clone(), old, generator.get_state()]
        step, latents, old, memory = saved
        later = torch.Generator("cpu")
        later.set_state(memory)
        onward = DenoiseState(step, latents.to(self.device), None if old is None else old.to(self.device))
        *_, last = self.continued(onward, steps, later)
        return {"steps": steps, "identical": torch.equal(last.latents, state.latents)}

    def equals_stock(self, steps: int) -> dict[str, Any]:
        """Compare the own loop, with whatever is set, with the stock pipeline as diffusers has it."""
        ours = self.denoised(steps)
        processors = self.pipeline.transformer.attn_processors
        self.use_stock()
        begun: list[torch.Tensor] = []
        try:
            seconds = seconds_of(lambda: begun.append(self.stock_latents(steps)), self.device)
        finally:
            self.pipeline.transformer.set_attn_processor(processors)
        difference = (ours.float() - begun[0].float()).norm() / begun[0].float().norm()
        return {
            "steps": steps,
            "identical": torch.equal(ours, begun[0]),
            "relative_difference": float(f"{difference.item():.3g}"),
            "stock_ms_per_step": round(seconds / steps * 1e3, 2),
        }

    def stock_latents(self, steps: int) -> torch.Tensor:
        """Call diffusers' own pipeline, without decoding."""
        unguided, prompted = self.conditioning.embeddings.chunk(2)
        latents: torch.Tensor = self.pipeline(
            prompt_embeds=prompted,
            negative_prompt_embeds=unguided,
            num_frames=self.shape.frames,
            height=self.shape.height,
            width=self.shape.width,
            num_inference_steps=steps,
            guidance_scale=GUIDANCE.scale,
            generator=torch.Generator("cpu").manual_seed(SEED),
            output_type="latent",
        ).frames
        return latents

    def _one_step(self) -> dict[str, Any]:
        captured: dict[str, Any] = {}

        class Captured(Exception):
            """The inputs are known; nothing need be computed."""

        def capture(_module: Any, _arguments: Any, keywords: dict[str, Any]) -> None:
            captured.update(keywords)
            raise Captured

        handle = self.pipeline.transformer.register_forward_pre_hook(capture, with_kwargs=True)
        try:
            self.denoised(2)
        except Captured:
            pass
        finally:
            handle.remove()
        return captured
