"""Goes down the memory ladder while a render runs: the step or chunk that ran out of memory is done again, lower down.

A step that fails has changed no latents yet: the transformer comes first in it, and the noise is drawn later. So the
result is that of a render that had begun on the lower rung, but for what decoding in tiles changes. A step cache may
have written down half of the step; it forgets all, and the step that is done again computes in full.
"""

# mypy: disable-error-code="no-untyped-call"

import gc
import logging
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from diffusers.hooks.group_offloading import apply_group_offloading

from videojob.phases import Stage
from videojob.speed_choices import Memory
from videojob_renderer.faults import is_out_of_gpu_memory
from videojob_renderer.speed.guidance import alone
from videojob_renderer.speed.memory import rung_after_running_out
from videojob_renderer.speed.step_caches import refresh

TILING = {
    "tile_sample_min_height": 240,
    "tile_sample_min_width": 360,
    "tile_overlap_factor_height": 1 / 6,
    "tile_overlap_factor_width": 1 / 5,
}
"""Tiles that fit together: with what follows from other sample sizes than 480x720, the stock decoder rounds unevenly
and gives frames of the wrong size (diffusers 0.42.1)."""

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Ladder:
    """Where on the ladder a render stands.

    Args:
        pipeline: whose weights are moved.
        device: that computes.
        rung: to begin with; its measures are taken at once.
    """

    def __init__(self, pipeline: Any, device: torch.device, rung: Memory = Memory.RESIDENT) -> None:
        self._pipeline = pipeline
        self._device = device
        self.rung = Memory.RESIDENT
        self._step_down(rung)

    def states(self, continue_from: Callable[[T], Iterator[T]], state: T) -> Iterator[T]:
        """Yield the states of a denoising loop; a step that runs out of memory is done again one rung lower.

        Args:
            continue_from: begins the loop at a state.
            state: where to begin.
        """
        latest = state
        while True:
            try:
                for reached in continue_from(latest):
                    latest = reached
                    yield latest
            except RuntimeError as error:
                if not is_out_of_gpu_memory(error) or rung_after_running_out(self.rung, Stage.DENOISING) is None:
                    raise
            else:
                return
            # Outside the handler: the exception's traceback holds the tensors that there was no room for.
            refresh(self._pipeline.transformer)
            self._descend(Stage.DENOISING)

    def may_tile(self) -> bool:
        """Have frames decoded in tiles, after the GPU ran out of memory; tell whether that is new."""
        return self._descend(Stage.DECODING)

    def release_transformer(self) -> None:
        """Let go of the transformer, which has done its work; its memory is there for the decoder."""
        self._pipeline.transformer = None

    def go_down(self, rung: Memory) -> None:
        """Take the measures of a lower rung."""
        self._free()
        self._step_down(rung)

    def _descend(self, stage: Stage) -> bool:
        rung = rung_after_running_out(self.rung, stage)
        if rung is None:
            return False
        _log.warning("out of memory, going on with less", extra={"stage": stage, "memory": rung})
        self.go_down(rung)
        return True

    def _step_down(self, rung: Memory) -> None:
        if rung is Memory.OFFLOAD:
            self._pipeline.transformer = alone(self._pipeline.transformer)
            _offload(self._pipeline.transformer, self._device)
        if rung in (Memory.TILED_DECODE, Memory.OFFLOAD):
            self._pipeline.vae.enable_tiling(**TILING)
        self.rung = rung

    def _free(self) -> None:
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _offload(transformer: Any, device: torch.device) -> None:
    """Keep the blocks in host memory; on a GPU the next one is on its way while one computes."""
    is_gpu = device.type == "cuda"
    for block in transformer.transformer_blocks:
        block._compiled_call_impl = None  # noqa: SLF001 - compiled code would not see the hooks that move weights
    apply_group_offloading(
        transformer,
        onload_device=device,
        offload_device=torch.device("cpu"),
        offload_type="block_level",
        num_blocks_per_group=1,
        use_stream=is_gpu,
        non_blocking=is_gpu,
        low_cpu_mem_usage=is_gpu,  # pinning all at once would double the host memory
    )
