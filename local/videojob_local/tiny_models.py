"""The tiny pipelines with random weights, made once by the renderer and cached by its version."""

import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from videojob_local.errors import BuildFailed
from videojob_local.paths import cache_folder

FAMILIES = ("2b", "5b", "1.5")


def ensure_tiny_models(families: tuple[str, ...] = FAMILIES) -> dict[str, Path]:
    """Return family -> folder, making the pipelines that are missing.

    Raises:
        BuildFailed: the renderer could not make one.
    """
    parent = cache_folder() / f"tiny-models-{version('videojob-renderer')}-{version('diffusers')}"
    parent.mkdir(parents=True, exist_ok=True)
    return {family: _ensure(parent / family, family) for family in families}


def _ensure(folder: Path, family: str) -> Path:
    if folder.is_dir():
        return folder
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary) / family
        command = [sys.executable, "-m", "videojob_renderer", "make-tiny", str(made), "--family", family]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise BuildFailed(
                f"making the tiny model {family} failed: {result.stderr.strip() or result.stdout.strip()}"
            )
        if not folder.is_dir():
            made.rename(folder)
    return folder
