"""One render from beginning to end, stage by stage. This is the first module that imports torch."""

import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

import diffusers
import torch

from videojob.phases import Stage
from videojob.resolve import ResolvedRequest
from videojob.status import Artifact, Artifacts
from videojob_renderer.decode import count_chunks, decode
from videojob_renderer.denoise import denoise, encode_prompt, initial_state, padding_latent_frames
from videojob_renderer.encode import Mp4Writer
from videojob_renderer.errors import EncoderFailed
from videojob_renderer.interruption import Interruption
from videojob_renderer.pipeline import LoadedPipeline, load
from videojob_renderer.report import Reporter
from videojob_renderer.thumbnail import write_thumbnail
from videojob_renderer.upload import Uploader

VIDEO_NAME = "video.mp4"
THUMBNAIL_NAME = "thumbnail.jpg"

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
        video = Path(folder, VIDEO_NAME)
        thumbnail = Path(folder, THUMBNAIL_NAME)
        thumbnail_size = _write_files(loaded, request, latents, video, thumbnail, on_chunk=reporter.advance)
        reporter.describe(peak_memory_bytes=_peak_memory_bytes(loaded.device))
        reporter.enter(Stage.UPLOADING)
        return Artifacts(
            thumbnail=_with(uploader.upload(thumbnail, "image/jpeg"), *thumbnail_size),
            video=_video(uploader.upload(video, "video/mp4"), request),
        )


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


def _write_files(
    loaded: LoadedPipeline,
    request: ResolvedRequest,
    latents: torch.Tensor,
    video: Path,
    thumbnail: Path,
    *,
    on_chunk: Callable[[int, int], None],
) -> tuple[int, int]:
    """Write the video and its middle frame; return the thumbnail's width and height."""
    middle = request.num_frames // 2
    chunks = count_chunks(loaded.pipeline, latents)
    frames = 0
    size = (0, 0)
    with Mp4Writer(video, width=request.width, height=request.height, fps=request.fps) as writer:
        for done, chunk in enumerate(decode(loaded.pipeline, latents), start=1):
            writer.write(chunk)
            if frames <= middle < frames + len(chunk):
                size = write_thumbnail(chunk[middle - frames], thumbnail)
            frames += len(chunk)
            on_chunk(done, chunks)
    if frames != request.num_frames:
        raise EncoderFailed(f"the model gave {frames} frames instead of {request.num_frames}")
    return size


def _video(artifact: Artifact, request: ResolvedRequest) -> Artifact:
    duration_seconds = round(request.num_frames / request.fps, 3)
    fields = {"frames": request.num_frames, "fps": request.fps, "duration_seconds": duration_seconds}
    return _with(artifact, request.width, request.height).model_copy(update=fields)


def _with(artifact: Artifact, width: int, height: int) -> Artifact:
    return artifact.model_copy(update={"width": width, "height": height})


def _peak_memory_bytes(device: torch.device) -> int | None:
    return torch.cuda.max_memory_allocated() if device.type == "cuda" else None
