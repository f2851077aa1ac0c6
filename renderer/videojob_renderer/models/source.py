"""What staging asks of a place that has weights: which files in which version, and the bytes of one from an offset on.

Three places answer: the hub (`videojob_renderer.hub`), a bucket and a folder. Because a file can be read from an
offset, one that was cut off goes on where it ended, also in another process.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from videojob_renderer.errors import WeightsUnavailable

_WANTED = re.compile(r"(model_index\.json|[\w.-]+/[\w.-]+\.(json|safetensors|model|txt))")
"""The index and the files of the pipeline's parts; not pictures, not weights in other formats."""

CHUNK_BYTES = 4 * 2**20


class SourceAway(Exception):
    """The place did not answer, or asked for another try."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What the place says its bytes amount to.

    Attributes:
        algorithm: `sha256`, `md5`, or `git-sha1` as git names its blobs.
    """

    algorithm: str
    hexadecimal: str

    def is_of(self, file: Path) -> bool:
        """Tell whether a file has this digest."""
        if self.algorithm == "git-sha1":
            digest = hashlib.sha1(f"blob {file.stat().st_size}\0".encode(), usedforsecurity=False)
        else:
            digest = hashlib.new(self.algorithm, usedforsecurity=False)
        with file.open("rb") as opened:
            while chunk := opened.read(CHUNK_BYTES):
                digest.update(chunk)
        return digest.hexdigest() == self.hexadecimal


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a model.

    Attributes:
        path: below the model's folder, such as `vae/config.json`.
        bytes: its size.
        digest: None where the place knows none.
    """

    path: str
    bytes: int
    digest: Digest | None


@dataclass(frozen=True, slots=True)
class Listing:
    """What a place has at this moment.

    Attributes:
        version: names these very files: a commit, or a hash of the listing; fit for a folder's name.
    """

    version: str
    files: tuple[RemoteFile, ...]


class Source(Protocol):
    """A place that has weights.

    Attributes:
        name: as it stands in the catalogue.
        revision: the wanted branch, tag or commit; None where the place has none, or for the main one.
    """

    name: str
    revision: str | None

    def list(self) -> Listing:
        """Say what there is.

        Raises:
            WeightsUnavailable: there is no such thing, or it may not be read.
            SourceAway: another try may help.
        """

    def read(self, listing: Listing, file: RemoteFile, offset: int) -> Iterator[bytes]:
        """Yield the bytes of a file from an offset on; raises like `list`."""


def wanted(files: Iterator[RemoteFile], place: str) -> tuple[RemoteFile, ...]:
    """Keep the files that a pipeline loads.

    Raises:
        WeightsUnavailable: there is no pipeline.
    """
    kept = tuple(file for file in files if _WANTED.fullmatch(file.path))
    if all(file.path != "model_index.json" for file in kept):
        raise WeightsUnavailable(f"{place} holds no diffusers model: it has no model_index.json")
    return kept
