"""Where things lie: the repository, the cache that outlives a stack, and the state that does not."""

import os
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
