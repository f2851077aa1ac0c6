"""The memory ladder: where a render begins, and how it goes on when the GPU runs out of memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from videojob.families import Family
from videojob.phases import Stage
from videojob.speed_choices import Memory, StepCache
from videojob_renderer.conditioning import Conditioning, encode_prompt
from videojob_renderer.decode import decode
from videojob_renderer.denoise import DenoiseState, denoise, initial_state, latents_shape
from videojob_renderer.guidance import Guidance
from videojob_renderer.speed.ladder import TILING, Ladder
from videojob_renderer.speed.memory import Needs, decode_bytes, first_rung, rung_after_running_out, step_bytes
from videojob_renderer.speed.step_caches import use_cache
from videojob_renderer.tiny import build_tiny

pytestmark = pytest.mark.torch

GIB = 2**30
CPU = torch.device("cpu")
NEEDS_5B = Needs(
    transformer=11_140_000_000,
    step=step_bytes(tokens=17_776, width=3072, halves=2),
    vae=431_000_000,
    decode=decode_bytes(height=480, width=720),
)


@pytest.mark.parametrize(
    ("gib", "rung"),
    [
        (80, Memory.RESIDENT),
        (40, Memory.RESIDENT),
        (24, Memory.RESIDENT),
        (20, Memory.TILED_DECODE),
        (12, Memory.OFFLOAD),
    ],
)
def test_a_render_of_5b_begins_on_the_first_rung_that_fits(gib: int, rung: Memory) -> None:
    assert first_rung(Memory.AUTO, NEEDS_5B, gib * GIB) is rung


def test_a_wish_decides_and_a_cpu_keeps_everything() -> None:
    assert first_rung(Memory.OFFLOAD, NEEDS_5B, 80 * GIB) is Memory.OFFLOAD
    assert first_rung(Memory.RESIDENT, NEEDS_5B, 12 * GIB) is Memory.RESIDENT
    assert first_rung(Memory.AUTO, NEEDS_5B, None) is Memory.RESIDENT


@pytest.mark.parametrize(
    ("rung", "stage", "following"),
    [
        (Memory.RESIDENT, Stage.DENOISING, Memory.OFFLOAD),
        (Memory.TILED_DECODE, Stage.DENOISING, Memory.OFFLOAD),
        (Memory.OFFLOAD, Stage.DENOISING, None),
        (Memory.RESIDENT, Stage.DECODING, Memory.TILED_DECODE),
        (Memory.TILED_DECODE, Stage.DECODING, None),
        (Memory.OFFLOAD, Stage.DECODING, None),
    ],
)
def test_the_next_rung_is_one_that_helps_in_the_stage(rung: Memory, stage: Stage, following: Memory | None) -> None:
    assert rung_after_running_out(rung, stage) is following


@pytest.fixture
def pipeline() -> Any:
    """A pipeline of its own: its parts are moved."""
    return build_tiny(Family.COGVIDEOX_5B)


TORCHS_OWN = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def run_out_of_memory(module: torch.nn.Module, calls: set[int], error: Exception = TORCHS_OWN) -> list[int]:
    """Have the calls of these numbers fail as a GPU without memory does; return the count of calls, which goes on."""
    count = [0]

    def fail(_module: Any, _arguments: Any) -> None:
        count[0] += 1
        if count[0] in calls:
            raise type(error)(*error.args)

    module.register_forward_pre_hook(fail)
    return count


def run(pipeline: Any, ladder: Ladder) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    conditioning = Conditioning(encode_prompt(pipeline, "A squirrel", "", is_guided=True))
    shape = latents_shape(pipeline, num_frames=9, height=48, width=64)
    start = initial_state(pipeline, shape, generator=generator, device=CPU, dtype=torch.float32)

    def continue_from(state: DenoiseState) -> Iterator[DenoiseState]:
        return denoise(pipeline, state, conditioning, steps=4, guidance=Guidance(6.0), generator=generator)

    return list(ladder.states(continue_from, start))[-1].latents


@pytest.mark.parametrize("error", [TORCHS_OWN, RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling")])
def test_a_step_without_memory_is_done_again_offloaded_and_changes_no_bit(pipeline: Any, error: Exception) -> None:
    undisturbed = run(pipeline, Ladder(pipeline, CPU))
    count = run_out_of_memory(pipeline.transformer.transformer_blocks[1], {3}, error)
    ladder = Ladder(pipeline, CPU)
    latents = run(pipeline, ladder)
    assert ladder.rung is Memory.OFFLOAD
    assert count == [5], "four steps, one of them twice"
    assert torch.equal(latents, undisturbed)


@pytest.mark.parametrize("cache", [StepCache.FIRST_BLOCK, StepCache.PYRAMID_ATTENTION, StepCache.TAYLOR_SEER])
def test_a_step_cache_forgets_the_step_that_had_no_memory(pipeline: Any, cache: StepCache) -> None:
    """The first step runs out after its first block: done again, it is that of a render that never ran out."""
    undisturbed = build_tiny(Family.COGVIDEOX_5B)
    use_cache(undisturbed.transformer, cache, threshold=1e-6, interval=2)
    use_cache(pipeline.transformer, cache, threshold=1e-6, interval=2)
    run_out_of_memory(pipeline.transformer.transformer_blocks[1], {1})
    ladder = Ladder(pipeline, CPU)
    latents = run(pipeline, ladder)
    assert ladder.rung is Memory.OFFLOAD
    assert torch.equal(latents, run(undisturbed, Ladder(undisturbed, CPU)))


def test_another_fault_is_not_taken_for_a_lack_of_memory(pipeline: Any) -> None:
    run_out_of_memory(pipeline.transformer.transformer_blocks[0], {2}, RuntimeError("CUDA error: illegal instruction"))
    with pytest.raises(RuntimeError, match="illegal instruction"):
        run(pipeline, Ladder(pipeline, CPU))


def test_at_the_end_of_the_ladder_the_lack_of_memory_is_told(pipeline: Any) -> None:
    run_out_of_memory(pipeline.transformer.transformer_blocks[0], {2, 3})
    with pytest.raises(torch.OutOfMemoryError):
        run(pipeline, Ladder(pipeline, CPU))


@pytest.fixture
def latents() -> torch.Tensor:
    return torch.randn(1, 3, 16, 32, 4, generator=torch.Generator().manual_seed(5))  # higher than one tile


def frames(chunks: Iterator[Any]) -> Any:
    parts = list(chunks)
    assert [len(part) for part in parts] == [9]
    return np.concatenate(parts)


def test_a_first_chunk_without_memory_is_decoded_in_tiles_as_the_stock_decoder_does(
    pipeline: Any, latents: torch.Tensor
) -> None:
    whole = frames(decode(pipeline, latents))
    stock = build_tiny(Family.COGVIDEOX_5B)
    stock.vae.enable_tiling(**TILING)
    with torch.no_grad():
        video = stock.decode_latents(latents)
    expected = stock.video_processor.postprocess_video(video=video, output_type="np")[0]
    run_out_of_memory(pipeline.vae.decoder, {1})
    ladder = Ladder(pipeline, CPU)
    ladder.release_transformer()
    tiled = frames(decode(pipeline, latents, ladder.may_tile))
    assert ladder.rung is Memory.TILED_DECODE
    assert tiled.shape == whole.shape == (9, 256, 32, 3)
    np.testing.assert_array_equal(tiled, (expected * 255).round().astype(np.uint8))
    assert (tiled != whole).any(), "tiles change pixels: the rung is lossy"


def test_a_later_chunk_without_memory_is_decoded_in_tiles_and_the_frames_before_it_stay(pipeline: Any) -> None:
    latents = torch.randn(1, 7, 16, 32, 4, generator=torch.Generator().manual_seed(5))
    whole = list(decode(pipeline, latents))
    run_out_of_memory(pipeline.vae.decoder, {2})
    ladder = Ladder(pipeline, CPU)
    mixed = list(decode(pipeline, latents, ladder.may_tile))
    assert [len(chunk) for chunk in mixed] == [len(chunk) for chunk in whole] == [9, 8, 8]
    tiled = list(decode(pipeline, latents))
    for chunk, expected in zip(mixed, (whole[0], *tiled[1:]), strict=True):
        np.testing.assert_array_equal(chunk, expected)
    assert (tiled[1] != whole[1]).any(), "tiles change pixels"


def test_tiles_without_memory_are_told(pipeline: Any, latents: torch.Tensor) -> None:
    run_out_of_memory(pipeline.vae.decoder, {1, 2})
    ladder = Ladder(pipeline, CPU)
    with pytest.raises(torch.OutOfMemoryError):
        list(decode(pipeline, latents, ladder.may_tile))
