"""Pulls the levers that a profile wishes for, as far as this node has them, and says what took effect."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from videojob.resolve import ResolvedRequest
from videojob.speed import SpeedOptions
from videojob.speed_choices import Attention, Compile, Memory, StepCache
from videojob.status import AppliedSpeed
from videojob_renderer.fingerprint import Fingerprint, is_of_speed
from videojob_renderer.speed import attention, compilation, float8, step_caches
from videojob_renderer.speed.guidance import ParallelGuidance, replica
from videojob_renderer.speed.ladder import Ladder
from videojob_renderer.speed.memory import Needs, decode_bytes, first_rung, step_bytes

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Accelerated:
    """A pipeline made fast.

    Attributes:
        ladder: where to go when the GPU runs out of memory.
    """

    ladder: Ladder
    _applied: AppliedSpeed  # but for the rung

    def applied(self, embedding_cache: str) -> AppliedSpeed:
        """Say what took effect, with the rung of the ladder that the render is on now."""
        return self._applied_on(self.ladder.rung).model_copy(update={"embedding_cache": embedding_cache})

    @property
    def arithmetic(self) -> dict[str, Any]:
        """What can change bits now: a render goes on only from a checkpoint that was computed the same way."""
        return self._arithmetic_on(self.ladder.rung)

    def follow(self, fingerprint: Fingerprint) -> None:
        """Go down to where a checkpoint was made, if its pod ran out of memory: only there is computed the same way."""
        if is_of_speed(fingerprint, self.arithmetic):
            return
        if is_of_speed(fingerprint, self._arithmetic_on(Memory.OFFLOAD)):
            self.ladder.go_down(Memory.OFFLOAD)

    def _applied_on(self, rung: Memory) -> AppliedSpeed:
        is_lossless = bool(self._applied.lossless) and rung is Memory.RESIDENT
        # On its way down to offload a render leaves compiled blocks and the second GPU behind.
        lost = {"compile": Compile.OFF, "cfg_parallel": 1} if rung is Memory.OFFLOAD else {}
        return self._applied.model_copy(update={"memory": rung, "lossless": is_lossless, **lost})

    def _arithmetic_on(self, rung: Memory) -> dict[str, Any]:
        named = {"attention", "compile", "fp8", "cache", "cfg_parallel"}
        return self._applied_on(rung).model_dump(include=named, mode="json")


def accelerate(
    pipeline: Any, request: ResolvedRequest, wishes: SpeedOptions, *, device: torch.device, dtype: torch.dtype
) -> Accelerated:
    """Make a loaded pipeline fast for one request.

    Args:
        pipeline: its transformer is changed, and may be replaced by a stand-in.
        request: decides shapes, and whether there is guidance.
        wishes: of the profile.
        device: that computes.
        dtype: of the weights.
    """
    levers = _Levers(pipeline, request, wishes, device, dtype)
    kernel = levers.choose_attention()
    fp8 = levers.use_float8()
    rung = levers.choose_rung()
    replicas = levers.use_second_gpu(rung, kernel)
    compiled = levers.compile(rung)
    cache = levers.use_step_cache()
    for note in levers.notes:
        _log.warning("a speed option could not be followed: %s", note)
    applied = AppliedSpeed(
        attention=kernel,
        compile=compiled,
        fp8=fp8,
        cache=cache,
        cfg_parallel=replicas,
        lossless=not fp8 and wishes.cache is StepCache.NONE,
        note="; ".join(levers.notes) or None,
    )
    return Accelerated(Ladder(pipeline, device, rung), applied)


class _Levers:
    """The levers, in the order in which they must be pulled: replicas are copies of what is quantised, and so on."""

    def __init__(
        self, pipeline: Any, request: ResolvedRequest, wishes: SpeedOptions, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._pipeline = pipeline
        self._request = request
        self._wishes = wishes
        self._device = device
        self._dtype = dtype
        self._guided = request.guidance_scale > 1
        self._transformers = [pipeline.transformer]
        self.notes: list[str] = []

    def choose_attention(self) -> Attention:
        transformer = self._pipeline.transformer
        kernel, note = attention.choose_kernel(
            self._wishes.attention,
            device=self._device,
            dtype=self._dtype,
            head_width=transformer.config.attention_head_dim,
        )
        if note:
            self.notes.append(note)
        attention.use_kernel(transformer, kernel)
        return kernel

    def use_float8(self) -> bool:
        if not self._wishes.fp8:
            return False
        if not float8.is_possible(self._device):
            self.notes.append("fp8 needs a GPU of compute capability 8.9 or newer, the model's own type is used")
            return False
        return float8.use_float8(self._pipeline.transformer) > 0

    def choose_rung(self) -> Memory:
        total_bytes = torch.cuda.get_device_properties(self._device).total_memory if self._is_gpu else None
        return first_rung(self._wishes.memory, self._needs(), total_bytes)

    def use_second_gpu(self, rung: Memory, kernel: Attention) -> int:
        """Give each half of guidance a GPU of its own; return how many GPUs there are at work."""
        if self._wishes.cfg_parallel == 1 or not self._guided:
            return 1
        if torch.cuda.device_count() < 2 or rung is Memory.OFFLOAD:
            self.notes.append("cfgParallel 2 needs two GPUs with room for the whole model, one is used")
            return 1
        self._transformers.append(replica(self._pipeline.transformer, torch.device("cuda", 1)))
        pair = (self._transformers[0], self._transformers[1])
        self._pipeline.transformer = ParallelGuidance(pair, lambda: attention.held(kernel))
        return 2

    def compile(self, rung: Memory) -> Compile:
        folder = self._wishes.compile_cache
        wished = self._wishes.compile is Compile.REGIONAL
        if not wished and (self._wishes.compile is Compile.OFF or folder is None or not self._is_gpu):
            return Compile.OFF
        if compilation.compiler() is None:
            self.notes.append("compile needs a C compiler in the image, which has none")
            return Compile.OFF
        if rung is Memory.OFFLOAD:
            self.notes.append("compile does not go with memory offload")
            return Compile.OFF
        if folder is not None:
            self._use_cache_folder(Path(folder))
        for transformer in self._transformers:
            compilation.compile_blocks(transformer, whole_graph=self._wishes.cache is StepCache.NONE)
        return Compile.REGIONAL

    def use_step_cache(self) -> str:
        for transformer in self._transformers:
            name = step_caches.use_cache(
                transformer,
                self._wishes.cache,
                threshold=self._wishes.cache_threshold,
                interval=self._wishes.cache_interval,
            )
        return name

    @property
    def _is_gpu(self) -> bool:
        return self._device.type == "cuda"

    def _use_cache_folder(self, root: Path) -> None:
        folder = compilation.cache_folder(
            root,
            device=self._device,
            dtype=self._dtype,
            shape=(self._request.num_frames, self._request.height, self._request.width),
            config=self._pipeline.transformer.config,
        )
        try:
            compilation.use_cache_folder(folder)
        except OSError as error:
            self.notes.append(f"compileCache {root} cannot be written ({error.strerror}), nothing is kept")

    def _needs(self) -> Needs:
        pipeline, request = self._pipeline, self._request
        config = pipeline.transformer.config
        latent_frames = (request.num_frames - 1) // pipeline.vae_scale_factor_temporal + 1
        token_frames = -(-latent_frames // (config.patch_size_t or 1))
        side = pipeline.vae_scale_factor_spatial * config.patch_size
        tokens = config.max_text_seq_length + token_frames * (request.height // side) * (request.width // side)
        width = config.num_attention_heads * config.attention_head_dim
        return Needs(
            transformer=_bytes_of(pipeline.transformer),
            step=step_bytes(tokens=tokens, width=width, halves=1 + self._guided),
            vae=_bytes_of(pipeline.vae),
            decode=decode_bytes(height=request.height, width=request.width),
        )


def _bytes_of(module: torch.nn.Module) -> int:
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
