"""The tiny pipelines with random weights, made once by the renderer and cached by what makes them."""

import hashlib
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from videojob_local.errors import BuildFailed
from videojob_local.paths import REPOSITORY, cache_folder

FAMILIES = ("2b", "5b", "1.5", "5b-i2v", "1.5-i2v")
_RECIPE = REPOSITORY / "renderer/videojob_renderer/tiny.py"


def ensure_tiny_models(families: tuple[str, ...] = FAMILIES) -> dict[str, Path]:
    """Return family -> folder, making the pipelines that are missing.

    Raises:
        BuildFailed: the renderer could not make one.
    """
    recipe = hashlib.sha256(_RECIPE.read_bytes() + version("diffusers").encode()).hexdigest()[:16]
    parent = cache_folder() / f"tiny-models-{recipe}"
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
