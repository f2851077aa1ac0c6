"""Where a step's time goes: attention, matrix products, and what only moves numbers."""

from collections import Counter
from typing import Any

from torch.profiler import ProfilerActivity, profile

from gpu_bench.device import synchronize
from gpu_bench.steps import Bench

_ATTENTION = ("sdpa", "flash", "fmha", "attention")
_PRODUCTS = ("gemm", "nvjet", "cutlass", "cublas", "matmul")
_SHOWN = 8


def kernel_shares(bench: Bench) -> dict[str, Any]:
    """Profile one step on a GPU; the kernels are told apart by their names."""
    bench.step()
    synchronize(bench.device)
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        bench.step()
        synchronize(bench.device)
    shares: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for event in profiled.key_averages():
        milliseconds = event.self_device_time_total / 1e3
        kind = _kind_of(event.key.lower())
        shares[kind] += milliseconds
        if kind == "other":
            others[event.key[:70]] += milliseconds
    largest = {name: round(milliseconds, 1) for name, milliseconds in others.most_common(_SHOWN)}
    return {f"{kind}_ms": round(milliseconds, 1) for kind, milliseconds in shares.items()} | {"largest_others": largest}


def _kind_of(kernel: str) -> str:
    if any(word in kernel for word in _ATTENTION):
        return "attention"
    return "matrix_products" if any(word in kernel for word in _PRODUCTS) else "other"
