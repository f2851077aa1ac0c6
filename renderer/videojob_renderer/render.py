"""One render from beginning to end, stage by stage. This is the first module that imports torch."""

import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

import diffusers
import torch

from videojob.phases import Stage
from videojob.resolve import ResolvedRequest
from videojob.status import Artifacts
from videojob_renderer.decode import count_chunks, decode
from videojob_renderer.denoise import denoise, encode_prompt, initial_state, padding_latent_frames
from videojob_renderer.interruption import Interruption
from videojob_renderer.outputs import output_files
from videojob_renderer.pipeline import LoadedPipeline, load
from videojob_renderer.provenance import provenance
from videojob_renderer.publish import publish
from videojob_renderer.report import Reporter
from videojob_renderer.upload import Uploader

_LARGEST_DRAWN_SEED = 2**32  # short enough to type, and exact in JavaScript


def render(request: ResolvedRequest, uploader: Uploader, reporter: Reporter, interruption: Interruption) -> Artifacts:
    """Render a request and upload its files.

    Args:
        request: what to render.
        uploader: takes the files.
        reporter: is told every stage and step; it is in stage Loading already.
        interruption: asked to hold each denoising step together.

    Raises:
        RendererError: of any kind.
        Interrupted: the process was asked to stop.
    """
    loaded = load(request)
    reporter.describe(
        torch=torch.__version__,
        diffusers=diffusers.__version__,
        dtype=str(loaded.dtype).removeprefix("torch."),
        model_revision=loaded.revision,
    )
    reporter.enter(Stage.ENCODING)
    seed = request.seed
    if seed is None:
        seed = secrets.randbelow(_LARGEST_DRAWN_SEED)
        reporter.drew_seed(seed)
    embeddings = encode_prompt(loaded.pipeline, request.prompt, request.negative_prompt, request.guidance_scale)
    reporter.enter(Stage.DENOISING)
    latents = _denoised(loaded, request, seed, embeddings, on_step=reporter.advance, interruption=interruption)
    with tempfile.TemporaryDirectory(prefix="videojob-") as folder:
        reporter.enter(Stage.DECODING)
        comment = provenance(request, seed, reporter.account())
        with output_files(Path(folder), request, comment) as files:
            chunks = count_chunks(loaded.pipeline, latents)
            for done, frames in enumerate(decode(loaded.pipeline, latents), start=1):
                files.write(frames)
                reporter.advance(done, chunks)
        reporter.describe(peak_memory_bytes=_peak_memory_bytes(loaded.device))
        reporter.enter(Stage.UPLOADING)
        return publish(files, request, seed, uploader, reporter)


def _denoised(
    loaded: LoadedPipeline,
    request: ResolvedRequest,
    seed: int,
    embeddings: torch.Tensor,
    *,
    on_step: Callable[[int, int], None],
    interruption: Interruption,
) -> torch.Tensor:  # (1, latent frames, channels, height / 8, width / 8), without padding frames
    generator = torch.Generator("cpu").manual_seed(seed)
    state = initial_state(
        loaded.pipeline,
        num_frames=request.num_frames,
        height=request.height,
        width=request.width,
        generator=generator,
        device=loaded.device,
        dtype=embeddings.dtype,
    )
    states = denoise(
        loaded.pipeline,
        state,
        embeddings,
        steps=request.steps,
        guidance_scale=request.guidance_scale,
        generator=generator,
    )
    while state.step < request.steps:
        with interruption.deferred():
            state = next(states)
            on_step(state.step, request.steps)
    return state.latents[:, padding_latent_frames(loaded.pipeline, request.num_frames) :]


def _peak_memory_bytes(device: torch.device) -> int | None:
    return torch.cuda.max_memory_allocated() if device.type == "cuda" else None
