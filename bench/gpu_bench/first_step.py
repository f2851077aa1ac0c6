"""From the start of a process to its first denoised step: whole models on disk, loaded by the renderer's own code.

As a program it is that process; `Start` writes the model that it loads, starts it, and reads what it says.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
_DEADLINE_SECONDS = 240


class Start:
    """A model folder, and processes that begin to render from it; a context manager.

    Args:
        bench: has the pipeline, without a text encoder.
        family: of the pipeline.
        tiny: with a text encoder of a few thousand weights.
    """

    def __init__(self, bench: Any, family: str, *, tiny: bool) -> None:
        self._bench = bench
        self._family = family
        self._tiny = tiny
        self._exits = contextlib.ExitStack()
        self._folder = Path()

    def __enter__(self) -> Self:
        self._folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory()))
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def write(self) -> dict[str, Any]:
        """Write the model; reading it again finds it in the page cache, as after the renderer's prefetch."""
        if find_spec("pydantic") is None:
            raise RuntimeError("the renderer's loading needs pydantic, which is not there")
        from gpu_bench.models import build_text_encoder  # noqa: PLC0415 - this module is also a program that times imports
        from videojob_renderer.tiny import build_tiny  # noqa: PLC0415

        begun = time.perf_counter()
        pipeline, tiny = self._bench.pipeline, build_tiny(self._family)  # type: ignore[arg-type] # a Family is such a string
        where = {"device": self._bench.device, "dtype": self._bench.dtype}
        whole = type(pipeline)(
            tokenizer=tiny.tokenizer,
            text_encoder=tiny.text_encoder if self._tiny else build_text_encoder(**where),
            vae=pipeline.vae,
            transformer=pipeline.transformer,
            scheduler=pipeline.scheduler,
        )
        whole.save_pretrained(self._folder)
        size = sum(file.stat().st_size for file in self._folder.rglob("*.safetensors"))
        return {"gb": round(size / 1e9, 2), "write_seconds": round(time.perf_counter() - begun, 2)}

    def run(self, *, text_encoder: bool, kernel: str, compiled: bool) -> dict[str, Any]:
        """Start a process and return the seconds it took for each part.

        Args:
            text_encoder: load it and encode the prompts; without, they are found in the cache of embeddings.
            kernel: of attention.
            compiled: compile the blocks, with what this process left in its compile cache.
        """
        shape = self._bench.shape
        told = {
            "folder": str(self._folder),
            "family": self._family,
            "dtype": str(self._bench.dtype).removeprefix("torch."),
            "frames": shape.frames,
            "height": shape.height,
            "width": shape.width,
            "text_encoder": text_encoder,
            "kernel": kernel,
            "compiled": compiled,
            "started": time.time(),
        }
        run = subprocess.run(
            [sys.executable, "-m", "gpu_bench.first_step", json.dumps(told)],
            capture_output=True,
            text=True,
            timeout=_DEADLINE_SECONDS,
            check=False,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(ROOT / "bench")])},
        )
        if run.returncode:
            raise RuntimeError(run.stderr.strip().splitlines()[-1][-400:])
        result: dict[str, Any] = json.loads(run.stdout.strip().splitlines()[-1])
        return result


def main() -> None:
    """Load, encode, denoise one step, and say how long each took since the process was started."""
    told = json.loads(sys.argv[1])
    reached: dict[str, float] = {"interpreter": time.time() - told["started"]}

    def reach(name: str) -> None:
        reached[name] = round(time.time() - told["started"], 2)

    from videojob_renderer.prefetch import Prefetch  # noqa: PLC0415 - before torch, as the renderer does

    Prefetch(Path(told["folder"]), ("transformer", "vae"))
    import torch  # noqa: PLC0415 - its import is part of what is measured

    from gpu_bench.models import embeddings  # noqa: PLC0415
    from videojob.resolve import ResolvedRequest  # noqa: PLC0415
    from videojob.speed_choices import Attention  # noqa: PLC0415
    from videojob_renderer.conditioning import Conditioning, encode_prompt  # noqa: PLC0415
    from videojob_renderer.denoise import denoise, initial_state, latents_shape  # noqa: PLC0415
    from videojob_renderer.guidance import Guidance  # noqa: PLC0415
    from videojob_renderer.pipeline import load  # noqa: PLC0415
    from videojob_renderer.speed import attention, compilation  # noqa: PLC0415

    reach("imported")
    size = {"num_frames": told["frames"], "height": told["height"], "width": told["width"]}
    request = ResolvedRequest(
        prompt="a squirrel",
        model="benchmark",
        family=told["family"],
        source=told["folder"],
        dtype=told["dtype"],
        fps=8,
        steps=50,
        guidance_scale=6,
        seed=42,
        **size,
    )
    loaded = load(request, lambda *_: told["text_encoder"])
    torch.zeros((), device=loaded.device).item()
    reach("loaded")
    pipeline, generator = loaded.pipeline, torch.Generator("cpu").manual_seed(42)
    if told["text_encoder"]:
        prompts = encode_prompt(pipeline, request.prompt, request.negative_prompt, is_guided=True)
    else:
        prompts = embeddings(pipeline, 2, device=loaded.device, dtype=loaded.dtype)
    conditioning = Conditioning(prompts)
    reach("encoded")
    attention.use_kernel(pipeline.transformer, Attention(told["kernel"]))
    if told["compiled"]:
        compilation.compile_blocks(pipeline.transformer, whole_graph=True)
    shape = latents_shape(pipeline, **size)
    state = initial_state(pipeline, shape, generator=generator, device=loaded.device, dtype=loaded.dtype)
    steps = denoise(pipeline, state, conditioning, steps=50, guidance=Guidance(6.0), generator=generator)
    next(steps).latents.sum().item()
    reach("first_step")
    next(steps).latents.sum().item()
    reach("second_step")
    print(json.dumps({"seconds_since_start": reached}))


if __name__ == "__main__":
    main()
