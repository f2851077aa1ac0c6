"""Where things lie: the repository, the cache that outlives a stack, and the state that does not."""

import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "charts/videojob"
CRD = REPOSITORY / "crds/videojobs.yaml"
GO_MODULE = REPOSITORY / "local"
DEMO = REPOSITORY / "examples/demo.py"
OUTPUT = REPOSITORY / "out"


def cache_folder() -> Path:
    """Return the folder of what is built once a machine: binaries, Go, tiny models."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "videojob"


def stack_folder() -> Path:
    """Return the state folder of the stack that `make up` keeps running."""
    return Path(os.environ.get("VIDEOJOB_STACK_DIR") or REPOSITORY / ".stack").absolute()


def huggingface_home() -> Path:
    """Return the folder in which the hub's client keeps what it downloads."""
    return Path(os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface")


def host_folders() -> list[Path]:
    """Return the folders that the pods of a process node know by their real paths.

    Wherever they lie, even below /tmp, which is a folder of its own to most pods: the programs, the cached models, the
    downloads of the hub.
    """
    return [REPOSITORY, Path(sys.prefix), cache_folder(), huggingface_home()]
