"""Measure the renderer's speed on a GPU against the stock pipeline and the floor of the device; write one JSON file.

    python bench/gpu.py --models 2b 5b --output bench/results/gpu-h100.json

Needs torch, transformers, diffusers and imageio-ffmpeg, and nothing else; no weights, no network. The measurements
that decide most come first; each has a share of the time, and what no time is left for is recorded as skipped.
"""

import argparse
import gc
import os
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "crds"), str(ROOT / "renderer")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402 - after the path is set
from gpu_bench import device as device_bench  # noqa: E402
from gpu_bench import stages  # noqa: E402
from gpu_bench.first_step import Start  # noqa: E402
from gpu_bench.kernels import kernel_shares  # noqa: E402
from gpu_bench.models import FULL_SHAPES, TINY_SHAPE, build  # noqa: E402
from gpu_bench.record import Record  # noqa: E402
from gpu_bench.steps import Bench  # noqa: E402

from videojob.families import Family  # noqa: E402
from videojob.speed_choices import Attention, StepCache  # noqa: E402
from videojob_renderer.speed import compilation  # noqa: E402

FAMILIES = (Family.COGVIDEOX_2B, Family.COGVIDEOX_5B, Family.COGVIDEOX_1_5)
SHARES = {Family.COGVIDEOX_2B: 1, Family.COGVIDEOX_5B: 3, Family.COGVIDEOX_1_5: 2}  # of the time
CACHES = (StepCache.PYRAMID_ATTENTION, StepCache.TAYLOR_SEER, StepCache.FIRST_BLOCK)


def main() -> None:
    """Run all measurements."""
    options = _options()
    warnings.filterwarnings("ignore")
    device = torch.device("cuda" if torch.cuda.is_available() and not options.cpu else "cpu")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    options.output.parent.mkdir(parents=True, exist_ok=True)
    record = Record(options.output, options.budget_seconds, tuple(options.skip))
    record.write(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        tiny=options.tiny,
        dtype=str(dtype).removeprefix("torch."),
        **device_bench.describe(device),
    )
    if options.compile_cache:
        compilation.use_cache_folder(options.compile_cache)
    record.measure("device/floors", lambda: device_bench.floors(device, dtype, tiny=options.tiny))
    if device.type == "cuda":
        record.measure("device/attention", lambda: device_bench.attention_floors(device, dtype))
    weights = [SHARES[Family(name)] for name in options.models]
    for number, name in enumerate(options.models):
        share_seconds = record.left_seconds * weights[number] / sum(weights[number:])
        _measure_model(record, Family(name), options, device=device, dtype=dtype, share_seconds=share_seconds)
    if not options.tiny:
        record.measure("text-encoder/encode", lambda: stages.text_encoder(device, dtype), needs_seconds=20)
    record.write(finished=True)


def _measure_model(
    record: Record,
    family: Family,
    options: Any,
    *,
    device: torch.device,
    dtype: torch.dtype,
    share_seconds: float,
) -> None:
    shape = TINY_SHAPE if options.tiny else FULL_SHAPES[family]
    if options.steps:
        shape = type(shape)(shape.frames, shape.height, shape.width, shape.fps, options.steps)
    benches: list[Bench] = []

    def build_it() -> dict[str, Any]:
        pipeline = build(family, tiny=options.tiny, device=device, dtype=dtype)
        benches.append(Bench(pipeline, shape, device, dtype))
        return {"parameters": sum(weight.numel() for weight in pipeline.transformer.parameters()), **vars(shape)}

    record.measure(f"{family}/build", build_it, needs_seconds=0 if options.tiny else 15)
    if benches:
        _Sections(record, family, benches[0], record.left_seconds - share_seconds).run()
    benches.clear()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


class _Sections:
    """The measurements of one model, in the order of what they decide.

    Args:
        reserve_seconds: left for the models that follow.
    """

    def __init__(self, record: Record, family: Family, bench: Bench, reserve_seconds: float) -> None:
        self._record = record
        self._family = family
        self._bench = bench
        self._reserve_seconds = reserve_seconds
        self._step_seconds = 0.0

    def run(self) -> None:
        """Measure."""
        bench = self._bench
        stock = self._measure("step/stock", bench.step_ms)
        self._step_seconds = stock["ms"] / 1e3 if stock else 1.0
        best = self._best_kernel()
        compiled = self._compiled(best)
        if bench.device.type == "cuda":
            self._measure("step/kernels", lambda: kernel_shares(bench), steps=3)
        self._end_to_end(compiled)
        if self._family is Family.COGVIDEOX_5B:
            self._first_steps(best, compiled)
        bench.do_not_compile()
        self._measure("identity/resume", lambda: bench.resumed_is_identical(4), steps=8)
        self._measure("identity/stock-pipeline", lambda: self._equal_to_stock(best), steps=8)
        self._second_gpu()
        for cache in CACHES:
            self._measure(f"cache/{cache}", lambda cache=cache: bench.cached_steps(cache, 8), steps=9)
        self._measure("load", lambda: stages.load_time(bench), seconds=40)
        self._float8()

    def _measure(self, name: str, run: Any, *, steps: int = 4, seconds: float = 0.0) -> Any:
        """Run a measurement of so many steps, if they fit before the share of the following models."""
        tiny_seconds = 0.0 if self._bench.shape.width < 100 else seconds
        needs = self._reserve_seconds + steps * self._step_seconds + tiny_seconds
        return self._record.measure(f"{self._family}/{name}", run, needs_seconds=needs)

    def _best_kernel(self) -> Attention:
        """Measure a step with each kernel; return the fastest."""
        bench = self._bench
        measured: dict[Attention, float] = {}
        for kernel in bench.usable_kernels():

            def with_kernel(kernel: Attention = kernel) -> Any:
                bench.use(kernel)
                return bench.step_ms()

            if result := self._measure(f"step/{kernel}", with_kernel):
                measured[kernel] = result["ms"]
        best = min(measured, key=lambda kernel: measured[kernel]) if measured else Attention.FLASH
        bench.use(best)
        return best

    def _compiled(self, kernel: Attention) -> bool:
        if compilation.compiler() is None:
            self._record.measure(f"{self._family}/step/{kernel}+compile", _no_compiler)
            return False
        result = self._measure(f"step/{kernel}+compile", self._bench.compile, steps=6, seconds=30)
        if result is None:
            self._bench.do_not_compile()
        return result is not None

    def _end_to_end(self, compiled: bool) -> None:
        """Render from noise to MP4 with the fastest lossless set, as the renderer does."""
        bench = self._bench
        steps = bench.shape.steps
        kept: list[torch.Tensor] = []

        def denoise_all() -> Any:
            seconds = device_bench.seconds_of(lambda: kept.append(bench.denoised(steps)), bench.device)
            return {"steps": steps, "compiled": compiled, "seconds": round(seconds, 2)}

        self._measure("end-to-end/denoise", denoise_all, steps=steps)
        latents = kept[0] if kept else bench.start(torch.Generator("cpu").manual_seed(0)).latents
        self._measure("end-to-end/decode", lambda: stages.decode_stages(bench, latents), seconds=8)
        self._measure("stock/decode", lambda: stages.stock_decode(bench, latents), seconds=12)
        self._measure("decode/other-convolutions", lambda: stages.other_convolutions(bench, latents), seconds=20)
        self._measure("decode/tiled", lambda: stages.tiled_decode(bench, latents), seconds=6)

    def _first_steps(self, kernel: Attention, compiled: bool) -> None:
        """Start processes that load all from disk: with the text encoder, without it, and compiled."""
        with Start(self._bench, self._family, tiny=self._bench.shape.width < 100) as start:
            if self._measure("start/write", start.write, seconds=40) is None:
                return
            starts = {"start/whole": (True, False), "start/embedding-cache": (False, False)}
            if compiled:
                starts["start/embedding-cache+compile"] = (False, True)
            for name, (text_encoder, is_compiled) in starts.items():

                def run(text_encoder: bool = text_encoder, is_compiled: bool = is_compiled) -> Any:
                    return start.run(text_encoder=text_encoder, kernel=kernel, compiled=is_compiled)

                self._measure(name, run, seconds=20)

    def _equal_to_stock(self, best: Attention) -> Any:
        """Compare with flash, then with the best; which of them the stock pipeline runs is torch's choice."""
        bench = self._bench
        bench.use(Attention.FLASH)
        try:
            return {"flash": bench.equals_stock(2), **({} if best is Attention.FLASH else self._with(best))}
        finally:
            bench.use(best)

    def _with(self, kernel: Attention) -> dict[str, Any]:
        self._bench.use(kernel)
        return {str(kernel): self._bench.equals_stock(2)}

    def _second_gpu(self) -> None:
        if torch.cuda.device_count() > 1 or self._bench.device.type == "cpu":
            self._measure("step/cfg-parallel", self._bench.parallel_ms, steps=6)

    def _float8(self) -> None:
        """Last, because it changes the weights for good."""

        def eager() -> Any:
            self._bench.use_float8()
            return self._bench.step_ms()

        if self._measure("step/fp8", eager) and compilation.compiler():
            self._measure("step/fp8+compile", self._bench.compile, steps=6, seconds=30)


def _no_compiler() -> Any:
    raise RuntimeError("there is no C compiler on this machine")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=[*map(str, FAMILIES)], default=["2b", "5b"])
    parser.add_argument("--output", type=Path, default=ROOT / "bench/results/gpu.json")
    parser.add_argument("--budget-seconds", type=float, default=480, help="begin nothing new after this")
    parser.add_argument("--steps", type=int, help="of the end-to-end render, instead of 50")
    parser.add_argument("--tiny", action="store_true", help="tiny models: a test of this script")
    parser.add_argument("--skip", nargs="*", default=[], metavar="WORD", help="leave out what has a word in its name")
    parser.add_argument("--cpu", action="store_true", help="measure the CPU even where there is a GPU")
    parser.add_argument("--compile-cache", type=Path, help="folder that keeps what was compiled")
    return parser.parse_args()


if __name__ == "__main__":
    main()
