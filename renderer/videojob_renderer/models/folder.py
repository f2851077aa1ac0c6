"""A folder as a source: weights on slow shared storage, to be copied onto the node's own disk."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from videojob_renderer.errors import WeightsUnavailable
from videojob_renderer.models.source import CHUNK_BYTES, Listing, RemoteFile, wanted


class FolderSource:
    """A model folder of this machine."""

    revision: str | None = None

    def __init__(self, name: str) -> None:
        self.name = name
        self._folder = Path(name)

    def list(self) -> Listing:
        """Say what there is; the version follows from names, sizes and times."""
        if not self._folder.is_dir():
            raise WeightsUnavailable(f"the model folder {self._folder} does not exist on this node")
        paths = sorted(path for path in self._folder.rglob("*") if path.is_file())
        stats = {path.relative_to(self._folder).as_posix(): path.stat() for path in paths}
        identity = "\n".join(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats.items())
        files = (RemoteFile(name, stat.st_size, None) for name, stat in stats.items())
        return Listing(hashlib.sha256(identity.encode()).hexdigest()[:40], wanted(files, self.name))

    def read(self, _listing: Listing, file: RemoteFile, offset: int) -> Iterator[bytes]:
        """Yield the bytes of a file from an offset on."""
        with (self._folder / file.path).open("rb") as opened:
            opened.seek(offset)
            while chunk := opened.read(CHUNK_BYTES):
                yield chunk
