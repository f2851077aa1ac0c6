"""The device itself: what it is, and the floor that nothing on it can be faster than, measured in the same run."""

import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch.nn.attention import SDPBackend, sdpa_kernel

GIB = 2**30
_PACKAGES = ("torch", "diffusers", "transformers", "imageio-ffmpeg", "triton", "flash-attn-interface", "flash_attn_3")


def describe(device: torch.device) -> dict[str, Any]:
    """Say on what is measured."""
    told: dict[str, Any] = {"python": platform.python_version(), "machine": platform.machine(), "device": device.type}
    for package in _PACKAGES:
        try:
            told[package] = version(package)
        except PackageNotFoundError:
            continue
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        told |= {
            "gpu": properties.name,
            "gpus": torch.cuda.device_count(),
            "memory_gib": round(properties.total_memory / GIB, 1),
            "capability": ".".join(map(str, torch.cuda.get_device_capability(device))),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return told


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(run: Callable[[], Any], device: torch.device) -> float:
    """Run once and return the seconds until the device is done."""
    synchronize(device)
    begun = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - begun


def median_seconds(run: Callable[[], Any], device: torch.device, *, repeats: int, warm_up: int = 1) -> float:
    """Run some times and return the median."""
    for _ in range(warm_up):
        run()
    return sorted(seconds_of(run, device) for _ in range(repeats))[repeats // 2]


def floors(device: torch.device, dtype: torch.dtype, *, tiny: bool) -> dict[str, Any]:
    """Measure the fastest matrix product and copy: in `dtype`, and in 8 bits where the device has them."""
    side = 256 if tiny else 8192
    left = torch.randn(side, side, device=device, dtype=dtype)
    right = torch.randn(side, side, device=device, dtype=dtype)
    result = {"matmul_side": side, "matmul_tflops": _tflops(2 * side**3, lambda: left @ right, device)}
    source = torch.empty((1 if tiny else 1024) * 2**20, device=device, dtype=torch.float16)
    target = torch.empty_like(source)
    seconds = median_seconds(lambda: target.copy_(source), device, repeats=10)
    result["copy_gb_per_second"] = round(2 * source.nbytes / seconds / 1e9, 1)
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 9):
        one = torch.ones((), device=device)
        left8, right8 = left.to(torch.float8_e4m3fn), right.t().contiguous().t().to(torch.float8_e4m3fn)

        def multiply() -> torch.Tensor:
            return torch._scaled_mm(left8, right8, scale_a=one, scale_b=one, out_dtype=dtype, use_fast_accum=True)  # noqa: SLF001

        result["matmul_fp8_tflops"] = _tflops(2 * side**3, multiply, device)
    return result


def attention_floors(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """Measure the attention of one block of CogVideoX-5b, 49 frames of 720x480, with each of torch's kernels."""
    return {
        kernel.name.lower(): _attention_tflops(kernel, device, dtype, heads=48, tokens=17776, head_width=64)
        for kernel in (SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION)
    }


def _attention_tflops(
    kernel: SDPBackend, device: torch.device, dtype: torch.dtype, *, heads: int, tokens: int, head_width: int
) -> dict[str, float]:
    shape = (2, heads, tokens, head_width)
    query, key, value = (torch.randn(shape, device=device, dtype=dtype) for _ in range(3))
    with sdpa_kernel(kernel):
        seconds = median_seconds(lambda: F.scaled_dot_product_attention(query, key, value), device, repeats=5)
    flop = 4 * 2 * heads * tokens**2 * head_width
    return {"ms": round(seconds * 1e3, 3), "tflops": round(flop / seconds / 1e12, 2)}


def peak_gib(device: torch.device, run: Callable[[], Any]) -> float | None:
    """Run, and return the most memory that was allocated meanwhile; None on a CPU."""
    if device.type != "cuda":
        run()
        return None
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    run()
    synchronize(device)
    return round(torch.cuda.max_memory_allocated(device) / GIB, 2)


def _tflops(flop: float, run: Callable[[], Any], device: torch.device) -> float:
    return round(flop / median_seconds(run, device, repeats=20, warm_up=3) / 1e12, 2)
