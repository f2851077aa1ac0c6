"""Each lever does what it says on real pipeline classes, and the report says what took effect."""

import copy
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend

from videojob.families import Family
from videojob.resolve import ResolvedRequest
from videojob.speed import SpeedOptions
from videojob.speed_choices import Attention, Memory, StepCache
from videojob.status import AppliedSpeed
from videojob_renderer.conditioning import Conditioning, encode_prompt
from videojob_renderer.denoise import DenoiseState, denoise, initial_state, latents_shape
from videojob_renderer.guidance import Guidance
from videojob_renderer.speed import attention, compilation, step_caches
from videojob_renderer.speed.accelerate import Accelerated, accelerate
from videojob_renderer.speed.float8 import Float8Linear, use_float8
from videojob_renderer.speed.guidance import ParallelGuidance, replica
from videojob_renderer.speed.ladder import Ladder
from videojob_renderer.tiny import build_tiny

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
LAYERS = 2
STEPS = 20

MakeRequest = Callable[..., ResolvedRequest]


@pytest.fixture
def pipeline() -> Any:
    """A pipeline of its own: its transformer is changed."""
    return build_tiny(Family.COGVIDEOX_5B)


def begin(pipeline: Any, guidance: float, dtype: torch.dtype) -> tuple[DenoiseState, Conditioning, torch.Generator]:
    generator = torch.Generator().manual_seed(7)
    embeddings = encode_prompt(pipeline, "A squirrel", "blurry", is_guided=guidance > 1).to(dtype)
    shape = latents_shape(pipeline, num_frames=9, height=48, width=64)
    state = initial_state(pipeline, shape, generator=generator, device=CPU, dtype=dtype)
    return state, Conditioning(embeddings), generator


def run(pipeline: Any, *, steps: int = 3, guidance: float = 6.0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Denoise and return the latents."""
    state, conditioning, generator = begin(pipeline, guidance, dtype)
    *_, last = denoise(pipeline, state, conditioning, steps=steps, guidance=Guidance(guidance), generator=generator)
    return last.latents


def refreshed(
    pipeline: Any, state: DenoiseState, conditioning: Conditioning, generator: torch.Generator
) -> Iterator[DenoiseState]:
    """Denoise as the renderer does with a cache: it forgets at fixed steps."""
    for reached in denoise(pipeline, state, conditioning, steps=STEPS, guidance=Guidance(6.0), generator=generator):
        if step_caches.is_refresh_step(reached.step):
            step_caches.refresh(pipeline.transformer)
        yield reached


def count_attentions(pipeline: Any) -> list[int]:
    """Count the calls of the attention's processor from now on."""
    count = [0]
    for block in pipeline.transformer.transformer_blocks:
        inner = block.attn1.to_q

        def seen(_module: Any, _arguments: Any) -> None:
            count[0] += 1

        inner.register_forward_pre_hook(seen)
    return count


# --- guidance on two devices


@pytest.mark.parametrize("family", [Family.COGVIDEOX_2B, Family.COGVIDEOX_5B, Family.COGVIDEOX_1_5])
def test_two_halves_apart_give_the_bits_of_two_calls_with_a_batch_of_one(family: Family) -> None:
    pipeline = build_tiny(family)
    transformer = pipeline.transformer
    generator = torch.Generator().manual_seed(3)
    frames = 4
    inputs = {
        "hidden_states": torch.randn(2, frames, 16, 4, 6, generator=generator),
        "encoder_hidden_states": torch.randn(2, 226, 32, generator=generator),
        "timestep": torch.tensor([400, 400]),
    }
    rotary = None
    if transformer.config.use_rotary_positional_embeddings:
        tokens = frames // (transformer.config.patch_size_t or 1) * 6
        rotary = (torch.randn(tokens, 16, generator=generator), torch.randn(tokens, 16, generator=generator))
    shared = {"image_rotary_emb": rotary, "return_dict": False}
    with torch.inference_mode():
        alone = [
            transformer(**{name: value[half : half + 1] for name, value in inputs.items()}, **shared)[0]
            for half in (0, 1)
        ]
        apart = ParallelGuidance((transformer, replica(transformer, CPU)))
        for _ in range(2):  # the first call is not parallel, the second is
            assert torch.equal(apart(**inputs, **shared)[0], torch.cat(alone))


def test_a_render_with_two_replicas_differs_from_one_only_by_rounding(pipeline: Any) -> None:
    together = run(pipeline)
    pipeline.transformer = ParallelGuidance((pipeline.transformer, replica(pipeline.transformer, CPU)))
    torch.testing.assert_close(run(pipeline), together, rtol=1e-4, atol=1e-4)
    assert run(pipeline, guidance=1.0).shape == together.shape, "no guidance: one replica is enough"


def test_a_fault_of_the_second_half_is_told(pipeline: Any) -> None:
    second = replica(pipeline.transformer, CPU)
    pipeline.transformer = ParallelGuidance((pipeline.transformer, second))
    run(pipeline, steps=1)

    def fail(_module: Any, _arguments: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    second.transformer_blocks[0].register_forward_pre_hook(fail)
    with pytest.raises(torch.OutOfMemoryError):
        run(pipeline)


class Attends:
    """Stands where a transformer does, and attends with one kernel; says which kernels were allowed at the end."""

    def __init__(self, until: threading.Event, then: threading.Event) -> None:
        self._until, self._then = until, then
        self.is_parallel = False
        self.allowed: list[SDPBackend] = []

    def parameters(self) -> Iterator[torch.Tensor]:
        yield torch.zeros(1)

    def __call__(self, *, hidden_states: torch.Tensor, **_: Any) -> tuple[torch.Tensor]:
        if self.is_parallel:
            with attention.held(Attention.MATH):
                self._then.set()
                assert self._until.wait(60)
                self.allowed = torch.nn.attention._cur_sdpa_kernel_backends()
        return (hidden_states,)


def test_the_kernel_is_held_for_both_halves_although_one_ends_first() -> None:
    """The first enters, then the second, which sees its kernels only after the first has left."""
    first_is_in, second_is_in, first_is_out = threading.Event(), threading.Event(), threading.Event()

    class First(Attends):
        def __call__(self, **inputs: Any) -> tuple[torch.Tensor]:
            answer = super().__call__(**inputs)
            if self.is_parallel:
                first_is_out.set()
            return answer

    class Second(Attends):
        def __call__(self, **inputs: Any) -> tuple[torch.Tensor]:
            assert not self.is_parallel or first_is_in.wait(60)
            return super().__call__(**inputs)

    pair = First(until=second_is_in, then=first_is_in), Second(until=first_is_out, then=second_is_in)
    apart = ParallelGuidance(pair, lambda: attention.held(Attention.MATH))
    inputs = {"hidden_states": torch.zeros(2, 1), "encoder_hidden_states": torch.zeros(2, 1)}
    apart(**inputs, timestep=torch.zeros(2))  # the first call is not parallel
    for transformer in pair:
        transformer.is_parallel = True
    before = torch.nn.attention._cur_sdpa_kernel_backends()
    apart(**inputs, timestep=torch.zeros(2))
    assert [transformer.allowed for transformer in pair] == [[SDPBackend.MATH]] * 2
    assert torch.nn.attention._cur_sdpa_kernel_backends() == before


# --- fp8


def test_float8_replaces_the_large_products_and_stays_close(pipeline: Any) -> None:
    pipeline.to(torch.bfloat16)
    exact = run(pipeline, dtype=torch.bfloat16).float()
    replaced = use_float8(pipeline.transformer)
    assert replaced == LAYERS * 6, "q, k, v, out and the two of the feed-forward"
    assert not isinstance(pipeline.transformer.transformer_blocks[0].norm1.linear, Float8Linear)
    lossy = run(pipeline, dtype=torch.bfloat16).float()
    error = (lossy - exact).norm() / exact.norm()
    assert 0 < error < 0.05


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e4])
def test_a_float8_product_is_within_the_precision_of_its_type(scale: float) -> None:
    generator = torch.Generator().manual_seed(2)
    linear = torch.nn.Linear(64, 32, dtype=torch.bfloat16)
    x = torch.randn(2, 8, 64, generator=generator).mul(scale).to(torch.bfloat16)
    with torch.no_grad():
        exact, lossy = linear(x).float(), Float8Linear(linear)(x).float()
    assert torch.isfinite(lossy).all()
    assert (lossy - exact).norm() <= 0.06 * exact.norm()


# --- caches of steps


@pytest.mark.parametrize(
    ("cache", "setting"),
    [
        (StepCache.FIRST_BLOCK, {"threshold": 0.9}),
        (StepCache.PYRAMID_ATTENTION, {"interval": 2}),
        (StepCache.TAYLOR_SEER, {"interval": 2}),
    ],
)
def test_a_cache_really_saves_attentions_and_changes_the_latents(
    pipeline: Any, cache: StepCache, setting: dict[str, Any]
) -> None:
    whole = run(pipeline, steps=STEPS)
    count = count_attentions(pipeline)
    name = step_caches.use_cache(pipeline.transformer, cache, **setting)
    assert name == f"{cache} {next(iter(setting.values())):g}"
    lossy = run(pipeline, steps=STEPS)
    assert LAYERS <= count[0] < 0.8 * LAYERS * STEPS
    assert torch.isfinite(lossy).all()
    assert not torch.equal(lossy, whole)


@pytest.mark.parametrize("cache", [StepCache.FIRST_BLOCK, StepCache.TAYLOR_SEER])
def test_who_refreshes_at_the_same_steps_resumes_to_the_bit(pipeline: Any, cache: StepCache) -> None:
    again = copy.deepcopy(pipeline)
    setting = {"threshold": 0.9} if cache is StepCache.FIRST_BLOCK else {"interval": 2}
    step_caches.use_cache(pipeline.transformer, cache, **setting)
    start, conditioning, generator = begin(pipeline, 6.0, torch.float32)
    reached = None
    for state in refreshed(pipeline, start, conditioning, generator):
        if state.step == step_caches.REFRESH_STEPS:
            reached = (state, generator.get_state())
    assert reached is not None
    step_caches.use_cache(again.transformer, cache, **setting)
    later = torch.Generator()
    later.set_state(reached[1])
    *_, resumed = refreshed(again, reached[0], conditioning, later)
    assert torch.equal(resumed.latents, state.latents)


# --- compile


@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of torch's own code
@pytest.mark.parametrize("family", [Family.COGVIDEOX_2B, Family.COGVIDEOX_5B])
def test_a_block_with_our_attention_is_compiled_in_one_piece(family: Family) -> None:
    """Two graphs serve all blocks: the first block's inputs lie otherwise in memory than those of the others."""
    pipeline: Any = build_tiny(family)
    attention.use_kernel(pipeline.transformer, Attention.FLASH)
    eager = run(pipeline, steps=2)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    compilation.compile_blocks(pipeline.transformer, whole_graph=True, backend="eager")
    assert torch.equal(run(pipeline, steps=2), eager)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] in {1, 2}
    assert not torch._dynamo.utils.counters["graph_break"]


@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of torch's own code
@pytest.mark.timeout(1200)
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here: torch's inductor starts one")
@pytest.mark.skipif("VIDEOJOB_TEST_COMPILE" not in os.environ, reason="minutes of CPU: set VIDEOJOB_TEST_COMPILE=1")
def test_blocks_are_compiled_and_what_was_compiled_stays_in_its_folder(
    pipeline: Any, make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "TORCHINDUCTOR_FX_GRAPH_CACHE"):
        monkeypatch.setenv(variable, "")  # put back afterwards
    eager = run(pipeline, steps=1)
    request = make_request(family=Family.COGVIDEOX_5B)
    wishes = SpeedOptions.model_validate({"compile": "regional", "compileCache": str(tmp_path)})
    torch._dynamo.reset()
    accelerated = accelerate(pipeline, request, wishes, device=CPU, dtype=torch.float32)
    assert accelerated.applied("off").compile == "regional"
    compiled = run(pipeline, steps=1)
    torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-4)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 1
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith(f"torch-{torch.__version__.partition('+')[0]}-cpu-")
    assert any(file.is_file() for file in (folder / "inductor").rglob("*"))


# --- what took effect


def test_a_render_that_went_down_to_offload_tells_what_it_left_behind(pipeline: Any) -> None:
    applied = AppliedSpeed(attention="flash", compile="regional", cfg_parallel=2, lossless=True)
    accelerated = Accelerated(Ladder(pipeline, CPU), applied)
    assert accelerated.applied("off").dump()["compile"] == "regional"
    ran_out = iter([True, False])

    def continue_from(state: int) -> Iterator[int]:
        if next(ran_out):
            raise torch.OutOfMemoryError
        yield state + 1

    assert list(accelerated.ladder.states(continue_from, 0)) == [1]
    after = accelerated.applied("off")
    assert (after.compile, after.cfg_parallel, after.memory, after.lossless) == ("off", 1, Memory.OFFLOAD, False)


def test_the_defaults_on_a_cpu_are_lossless(pipeline: Any, make_request: MakeRequest) -> None:
    stock = run(pipeline)
    request = make_request(family=Family.COGVIDEOX_5B)
    applied = accelerate(pipeline, request, SpeedOptions(), device=CPU, dtype=torch.float32).applied("off")
    assert applied.dump() == {
        "attention": "flash",
        "compile": "off",
        "fp8": False,
        "cache": "none",
        "cfgParallel": 1,
        "embeddingCache": "off",
        "memory": "resident",
        "lossless": True,
    }
    assert torch.equal(run(pipeline), stock)


def test_what_the_node_cannot_give_is_told(pipeline: Any, make_request: MakeRequest, tmp_path: Path) -> None:
    wishes = SpeedOptions.model_validate(
        {"attention": "flash3", "cfgParallel": 2, "compile": "regional", "memory": "offload", "cache": "firstBlock"}
    )
    request = make_request(family=Family.COGVIDEOX_5B)
    accelerated = accelerate(pipeline, request, wishes, device=CPU, dtype=torch.float32)
    applied = accelerated.applied("off")
    assert (applied.attention, applied.cfg_parallel, applied.compile) == ("flash", 1, "off")
    assert (applied.memory, applied.cache, applied.lossless) == ("offload", "firstBlock 0.08", False)
    assert applied.note is not None
    for words in ("attention flash3 is not available here", "needs two GPUs", "does not go with memory offload"):
        assert words in applied.note
    assert torch.isfinite(run(pipeline)).all()
