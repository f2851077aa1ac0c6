"""The folder for files of this render alone, and what to say where there is none.

TMPDIR is taken at its word: Python's own search goes on to other places, and in a container with a read-only root ends
with a list of them.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from videojob_renderer.errors import DiskFull, DiskUnwritable
from videojob_renderer.faults import is_disk_full


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder, and remove it with all it holds.

    Raises:
        DiskUnwritable: it cannot be made.
        DiskFull: there is no space left for it.
    """
    root = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - an emptyDir of the pod
    try:
        folder = tempfile.TemporaryDirectory(prefix="videojob-", dir=root, ignore_cleanup_errors=True)
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull(f"there is no space left in {root} on this node") from error
        raise DiskUnwritable(f"the folder {root} (TMPDIR) cannot be written: {error.strerror or error}") from error
    with folder as name:
        yield Path(name)
