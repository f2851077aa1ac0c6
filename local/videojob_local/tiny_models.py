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


def ensure_tiny_models() -> dict[str, Path]:
    """Return family -> folder, making the pipelines first where one is missing: all at once, for the imports' sake.

    Raises:
        BuildFailed: the renderer could not make one.
    """
    recipe = hashlib.sha256(_RECIPE.read_bytes() + version("diffusers").encode()).hexdigest()[:16]
    parent = cache_folder() / f"tiny-models-{recipe}"
    folders = {family: parent / family for family in FAMILIES}
    if not all(folder.is_dir() for folder in folders.values()):
        parent.mkdir(parents=True, exist_ok=True)
        _make(folders)
    return folders


def _make(folders: dict[str, Path]) -> None:
    parent = next(iter(folders.values())).parent
    with tempfile.TemporaryDirectory(dir=parent) as temporary:
        command = [sys.executable, "-m", "videojob_renderer", "make-tiny", temporary, "--family", "all"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise BuildFailed(f"making the tiny models failed: {result.stderr.strip() or result.stdout.strip()}")
        for family, folder in folders.items():
            if not folder.is_dir():  # another process may have made it while this one did
                (Path(temporary) / family).rename(folder)
