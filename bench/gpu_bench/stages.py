"""The stages around the steps: load, encode the prompt, decode, write the MP4; ours beside diffusers' own way."""

import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import torch
from diffusers.utils import export_to_video

from gpu_bench.device import median_seconds, peak_gib, seconds_of, synchronize
from gpu_bench.models import TEXT_TOKENS, build_text_encoder
from gpu_bench.steps import Bench
from videojob_renderer.decode import decode
from videojob_renderer.denoise import padding_latent_frames
from videojob_renderer.encode import Mp4Writer
from videojob_renderer.speed.ladder import TILING


def decode_stages(bench: Bench, latents: torch.Tensor) -> dict[str, Any]:
    """Measure decoding into an MP4 chunk by chunk, and the tail after the last chunk."""
    whole = _without_padding(bench, latents)
    for _ in decode(bench.pipeline, whole):  # warm up: the choice of convolutions, and of clocks
        pass
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "video.mp4")
        synchronize(bench.device)
        begun = time.perf_counter()
        with Mp4Writer(
            path, width=bench.shape.width, height=bench.shape.height, fps=bench.shape.fps, comment=""
        ) as writer:
            for frames in decode(bench.pipeline, whole):
                writer.write(frames)
            decoded = time.perf_counter()
        ended = time.perf_counter()
    peak = peak_gib(bench.device, lambda: list(decode(bench.pipeline, whole)))
    return {
        "decode_seconds": round(seconds_of(lambda: list(decode(bench.pipeline, whole)), bench.device), 3),
        "decode_and_mp4_seconds": round(ended - begun, 3),
        "tail_after_last_chunk_seconds": round(ended - decoded, 3),
        "peak_gib": peak,
    }


def stock_decode(bench: Bench, latents: torch.Tensor) -> dict[str, Any]:
    """Measure diffusers' own decoding and export, and compare the frames."""
    whole = _without_padding(bench, latents)
    ours = np.concatenate(list(decode(bench.pipeline, whole)))
    synchronize(bench.device)
    begun = time.perf_counter()
    with torch.inference_mode():
        video = bench.pipeline.decode_latents(whole)
    frames = bench.pipeline.video_processor.postprocess_video(video=video, output_type="pil")[0]
    decoded = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        _export(frames, Path(folder, "video.mp4"), bench.shape.fps)
    ended = time.perf_counter()
    theirs = np.stack([np.asarray(frame) for frame in frames])
    return {
        "decode_to_pil_seconds": round(decoded - begun, 3),
        "export_seconds": round(ended - decoded, 3),
        "frames_identical": bool(np.array_equal(ours, theirs)),
    }


def _export(frames: list[Any], path: Path, fps: int) -> None:
    """Write an MP4 as diffusers does: by imageio, or where that is missing by the writer that imageio would call."""
    if find_spec("imageio"):
        export_to_video(frames, str(path), fps=fps)
        return
    writer = imageio_ffmpeg.write_frames(str(path), frames[0].size, fps=fps, quality=5, macro_block_size=16)
    writer.send(None)
    for frame in frames:
        writer.send(np.asarray(frame))
    writer.close()


def tiled_decode(bench: Bench, latents: torch.Tensor) -> dict[str, Any]:
    """Measure the second rung of the memory ladder."""
    whole = _without_padding(bench, latents)
    vae = bench.pipeline.vae
    vae.enable_tiling(**TILING)
    try:
        seconds: list[float] = []
        peak = peak_gib(
            bench.device,
            lambda: seconds.append(seconds_of(lambda: list(decode(bench.pipeline, whole)), bench.device)),
        )
    finally:
        vae.disable_tiling()
    return {"decode_seconds": round(seconds[0], 3), "peak_gib": peak}


def other_convolutions(bench: Bench, latents: torch.Tensor) -> dict[str, Any]:
    """Measure decoding with channels last in memory, and with cuDNN trying its algorithms; compare the frames."""
    whole = _without_padding(bench, latents)
    usual = np.concatenate(list(decode(bench.pipeline, whole)))
    result: dict[str, Any] = {}

    def measure(name: str) -> None:
        frames = np.concatenate(list(decode(bench.pipeline, whole)))  # warm up
        seconds = seconds_of(lambda: list(decode(bench.pipeline, whole)), bench.device)
        largest = int(np.abs(frames.astype(np.int16) - usual).max())
        result[name] = {"decode_seconds": round(seconds, 3), "largest_difference_of_255": largest}

    torch.backends.cudnn.benchmark = True
    try:
        measure("cudnn_benchmark")
        _lay_out(bench.pipeline.vae, torch.channels_last_3d)
        measure("channels_last_and_benchmark")
        torch.backends.cudnn.benchmark = False
        measure("channels_last")
    finally:
        torch.backends.cudnn.benchmark = False
        _lay_out(bench.pipeline.vae, torch.contiguous_format)
    return result


def _lay_out(vae: torch.nn.Module, memory_format: torch.memory_format) -> None:
    for module in vae.modules():
        if isinstance(module, torch.nn.Conv3d):
            module.to(memory_format=memory_format)


def load_time(bench: Bench) -> dict[str, Any]:
    """Write the transformer to disk and load it straight to the device: from the page cache, as after a prefetch."""
    transformer = bench.pipeline.transformer
    with tempfile.TemporaryDirectory() as folder:
        written = seconds_of(lambda: transformer.save_pretrained(folder), bench.device)
        size = sum(file.stat().st_size for file in Path(folder).glob("*.safetensors"))
        device_map = bench.device.type if bench.device.type == "cuda" else None

        def load() -> None:
            type(transformer).from_pretrained(folder, dtype=bench.dtype, device_map=device_map)

        seconds = seconds_of(load, bench.device)
    return {"gb": round(size / 1e9, 2), "write_seconds": round(written, 2), "load_seconds": round(seconds, 2)}


def text_encoder(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """Measure what a hit in the cache of embeddings saves, but for the load: encoding two prompts with T5-XXL."""
    encoder = build_text_encoder(device=device, dtype=dtype)
    tokens = torch.ones(1, TEXT_TOKENS, dtype=torch.long, device=device)

    @torch.inference_mode()
    def encode() -> None:
        for _ in range(2):
            encoder(tokens)

    gigabytes = sum(parameter.nbytes for parameter in encoder.parameters()) / 1e9
    seconds = median_seconds(encode, device, repeats=3)
    return {"gb": round(gigabytes, 2), "two_prompts_ms": round(seconds * 1e3, 2)}


def _without_padding(bench: Bench, latents: torch.Tensor) -> torch.Tensor:
    return latents[:, padding_latent_frames(bench.pipeline, bench.shape.frames) :]
