"""Compiles the transformer's repeated block, and keeps the result in a folder that outlives the pod.

One compiled block serves all 30 or 42, so a cold start costs about a minute instead of many, and a warm one seconds.
diffusers offers this (`compile_repeated_blocks`) but does not name CogVideoX's block, so we do. What was compiled is
reusable only by the same versions on the same kind of GPU: each such combination has a folder of its own, which can be
removed as a whole. Several pods may use one folder at once: torch writes each entry to a file of its own, and renames.
"""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import diffusers
import torch

_BLOCK = "CogVideoXBlock"


def compiler() -> str | None:
    """Return the C compiler that torch would start: both of its backends need one, on the node, while it runs."""
    return shutil.which(os.environ.get("CC") or "cc") or shutil.which("gcc") or shutil.which("clang")


def cache_folder(root: Path, *, device: torch.device, dtype: torch.dtype, shape: tuple[int, ...], config: Any) -> Path:
    """Say where the compiled code of this combination lies.

    Args:
        root: the folder for all combinations.
        device: its kind counts, not its number.
        dtype: of the weights.
        shape: of the latents: (latent frames, height / 8, width / 8).
        config: of the transformer.
    """
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    structure = {key: value for key, value in dict(config).items() if not key.startswith("_")}
    parts = (torch.__version__, diffusers.__version__, gpu, str(dtype), shape, sorted(structure.items(), key=str))
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    return root / f"torch-{torch.__version__.partition('+')[0]}-{gpu.replace(' ', '-').lower()}-{digest}"


def use_cache_folder(folder: Path) -> bool:
    """Have torch keep what it compiles in a folder; return whether something lay there already.

    Raises:
        OSError: the folder cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    is_warm = any(folder.iterdir())
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "inductor")
    os.environ["TRITON_CACHE_DIR"] = str(folder / "triton")
    os.environ["TORCHINDUCTOR_FX_GRAPH_CACHE"] = "1"
    return is_warm


def compile_blocks(transformer: Any, *, whole_graph: bool, backend: str = "inductor") -> None:
    """Compile each block at its first call.

    Args:
        transformer: of CogVideoX.
        whole_graph: raise if a block cannot be compiled in one piece; caches of steps break it in several.
        backend: of torch's compiler; `eager` finds the graph and runs it as it is, which takes no C compiler.
    """
    transformer._repeated_blocks = [_BLOCK]  # noqa: SLF001 - diffusers 0.42.1 leaves it empty for CogVideoX
    transformer.compile_repeated_blocks(fullgraph=whole_graph, dynamic=False, backend=backend)
