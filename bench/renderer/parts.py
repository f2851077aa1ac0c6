"""What is measured. The frames are those of a tiny model: noise, which costs the encoder more than a picture."""

# Each part is a process of its own, and imports what it needs.
# ruff: noqa: PLC0415

import hashlib
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Figures = dict[str, Any]

FRAMES, HEIGHT, WIDTH, FPS = 49, 480, 720, 8
CHUNKS = (9, 8, 8, 8, 8, 8)
ROUNDS = 5
_MIB = 2**20


def decode_frames(folder: Path) -> Figures:
    """Decode noise to 49 frames with the tiny VAE, as the renderer does; leaves them in the folder."""
    import torch

    from videojob.families import Family
    from videojob_renderer.cores import available_cores
    from videojob_renderer.decode import decode
    from videojob_renderer.tiny import build_tiny

    torch.set_num_threads(available_cores())
    pipeline: Any = build_tiny(Family.COGVIDEOX_2B)
    latents = torch.randn((1, 13, 16, HEIGHT // 8, WIDTH // 8), generator=torch.Generator().manual_seed(0))
    began, cpu = time.monotonic(), _cpu_seconds()
    chunks = list(decode(pipeline, latents))
    figures = {
        "seconds": _since(began),
        "cpu_seconds": round(_cpu_seconds() - cpu, 2),
        "chunks": [len(chunk) for chunk in chunks],
        "peak_memory_mib": _peak_mib(),
    }
    np.save(folder / "frames.npy", np.concatenate(chunks))
    return figures


def tail(folder: Path) -> Figures:
    """From the last chunk of frames to video, thumbnail and spritesheet, hashed; the other chunks came before."""
    from videojob.families import Family
    from videojob.resolve import ResolvedRequest
    from videojob_renderer.outputs import output_files

    frames = np.load(folder / "frames.npy", mmap_mode="r")
    request = ResolvedRequest(
        prompt="noise",
        model="tiny",
        family=Family.COGVIDEOX_2B,
        source="/none",
        dtype="float32",
        num_frames=FRAMES,
        width=WIDTH,
        height=HEIGHT,
        fps=FPS,
        steps=1,
        guidance_scale=1,
    )
    seconds, all_at_once, sizes = [], [], {}
    for _ in range(ROUNDS):
        began = time.monotonic()
        with output_files(folder, request, "{}") as files:
            for chunk in np.split(frames, np.cumsum(CHUNKS)[:-1]):
                last_came = time.monotonic()
                files.write(np.ascontiguousarray(chunk))
        sizes = {path.name: path.stat().st_size for path in (files.video, files.thumbnail.path, files.spritesheet.path)}
        for name in sizes:
            hashlib.sha256((folder / name).read_bytes()).hexdigest()
        seconds.append(_since(last_came))
        all_at_once.append(_since(began))
    return {
        "seconds": min(seconds),
        "median_seconds": statistics.median(seconds),
        "seconds_with_all_frames_at_once": min(all_at_once),
        "rounds": ROUNDS,
        "bytes": sizes,
        "peak_memory_mib": _peak_mib(),
        "peak_memory_of_ffmpeg_mib": _peak_mib(resource.RUSAGE_CHILDREN),
    }


def stock_tail(folder: Path) -> Figures:
    """What diffusers' own pipeline does after the last chunk is decoded: whole video to PIL, then export_to_video."""
    import torch
    from diffusers.utils import export_to_video
    from diffusers.video_processor import VideoProcessor

    frames = torch.from_numpy(np.load(folder / "frames.npy"))
    decoded = (frames.permute(3, 0, 1, 2).unsqueeze(0).float() / 127.5 - 1).contiguous()
    processor: Any = VideoProcessor(vae_scale_factor=8)
    seconds, processing = [], []
    video = folder / "stock.mp4"
    for _ in range(ROUNDS):
        began = time.monotonic()
        pictures = processor.postprocess_video(video=decoded, output_type="pil")[0]
        processing.append(_since(began))
        export_to_video(pictures, str(video), fps=FPS)
        seconds.append(_since(began))
    return {
        "seconds": min(seconds),
        "median_seconds": statistics.median(seconds),
        "of_it_to_pil": min(processing),
        "rounds": ROUNDS,
        "bytes": {video.name: video.stat().st_size},
        "peak_memory_mib": _peak_mib(),
    }


def loop(_folder: Path) -> Figures:
    """Our denoising loop against pipe() up to its latents, turn by turn: same arithmetic, same bits."""
    import torch

    from videojob.families import Family
    from videojob_renderer.conditioning import Conditioning, encode_prompt
    from videojob_renderer.denoise import denoise, initial_state, latents_shape
    from videojob_renderer.guidance import Guidance
    from videojob_renderer.tiny import build_tiny

    torch.set_num_threads(1)  # so that CPU time is the work's own, not the spinning of threads
    pipeline: Any = build_tiny(Family.COGVIDEOX_5B)
    pipeline.set_progress_bar_config(disable=True)
    size = {"num_frames": 17, "height": 128, "width": 192}
    steps = 10
    embeddings = encode_prompt(pipeline, "a squirrel", "", is_guided=True)
    negative, prompt = embeddings.chunk(2)

    def ours() -> torch.Tensor:
        generator = torch.Generator("cpu").manual_seed(7)
        shape = latents_shape(pipeline, **size)
        state = initial_state(pipeline, shape, generator=generator, device=torch.device("cpu"), dtype=embeddings.dtype)
        guidance = Guidance(6.0, dynamic=False)
        states = denoise(pipeline, state, Conditioning(embeddings), steps=steps, guidance=guidance, generator=generator)
        *_, state = states
        return state.latents

    def stock() -> torch.Tensor:
        latents: torch.Tensor = pipeline(
            prompt_embeds=prompt,
            negative_prompt_embeds=negative,
            num_inference_steps=steps,
            guidance_scale=6.0,
            generator=torch.Generator("cpu").manual_seed(7),
            output_type="latent",
            **size,
        ).frames
        return latents

    same = torch.equal(ours(), stock())  # and both are warm now
    cpu: dict[str, list[float]] = {"ours": [], "stock": []}
    for turn in range(2 * ROUNDS):
        for name, run in (("ours", ours), ("stock", stock))[:: 1 if turn % 2 else -1]:
            began = time.process_time()
            run()
            cpu[name].append(time.process_time() - began)
    best = {name: min(values) for name, values in cpu.items()}
    return {
        "bit_identical": same,
        "steps": steps,
        "ours_cpu_ms_a_step": round(best["ours"] / steps * 1000, 2),
        "stock_cpu_ms_a_step": round(best["stock"] / steps * 1000, 2),
        "cpu_ratio": round(best["ours"] / best["stock"], 4),
        "median_cpu_ratio": round(statistics.median(cpu["ours"]) / statistics.median(cpu["stock"]), 4),
        "rounds": 2 * ROUNDS,
        "peak_memory_mib": _peak_mib(),
    }


def whole(folder: Path) -> Figures:
    """A whole renderer process, from its environment to its exit: the tiny model, a real S3 server, 49 frames."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/support"))
    from recording_api import RecordingApi
    from renderer_process import RendererProcess, environment

    from videojob.families import Family
    from videojob.resolve import ResolvedRequest
    from videojob_local.processes import Processes
    from videojob_local.s3 import S3Server

    make = [sys.executable, "-m", "videojob_renderer", "make-tiny", str(folder / "tiny")]
    subprocess.run(make, check=True, stdout=sys.stderr)
    request = ResolvedRequest(
        prompt="a squirrel",
        model="tiny",
        family=Family.COGVIDEOX_2B,
        source=str(folder / "tiny"),
        dtype="float32",
        num_frames=FRAMES,
        width=192,
        height=128,
        fps=FPS,
        steps=10,
        guidance_scale=6,
        seed=7,
    )
    server = S3Server(folder, Processes(folder))
    (folder / "run").mkdir()
    try:
        server.start()
        with RecordingApi(folder / "api") as api:
            told = environment(
                request, api_port=api.port, token_dir=api.token_dir, storage=server.storage.environment()
            )
            began = time.monotonic()
            run = RendererProcess(folder / "run", told)
            code, peak = _wait(run.pid)
            seconds = _since(began)
            if code:
                raise RuntimeError(run.text)
            report = api.statuses[-1]["renderer"]
    finally:
        server.stop()
    return {
        "seconds": seconds,
        "seconds_a_stage": report["seconds"],
        "patches": len(api.requests),
        "steps": request.steps,
        "size": f"{request.num_frames}x{request.height}x{request.width}",
        "peak_memory_mib": peak,
    }


def _wait(pid: int) -> tuple[int, int]:
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), round(usage.ru_maxrss * 1024 / _MIB)


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)


def _cpu_seconds() -> float:
    return time.process_time()


def _peak_mib(whose: int = resource.RUSAGE_SELF) -> int:
    """Linux counts in KiB."""
    return round(resource.getrusage(whose).ru_maxrss * 1024 / _MIB)


PARTS: dict[str, Callable[[Path], Figures]] = {
    "decode": decode_frames,
    "tail": tail,
    "stock_tail": stock_tail,
    "loop": loop,
    "whole": whole,
}
