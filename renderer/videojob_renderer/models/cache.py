"""A folder of staged models, which any number of pods and nodes may share.

A model is whole or not there: it is put together in a folder of its own under a lock, checked, and renamed. Readers
need neither the lock nor the right to write. What lies in it:

    zai-org--CogVideoX-2b-1f0c3a2b/            one folder a source
        lock                                   held by the process that stages
        main                                   which version a revision was when it was staged last
        1137dacfc2c9c012bed6a0793f4ecf2ca8e7ba01/          the model, ready to load
        1137dacfc2c9c012bed6a0793f4ecf2ca8e7ba01.partial/  the same, on its way
"""

import errno
import fcntl
import hashlib
import json
import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from videojob_renderer.errors import DiskUnwritable, WeightsUnavailable
from videojob_renderer.models.download import download, is_whole
from videojob_renderer.models.source import Listing, RemoteFile, Source, SourceAway
from videojob_renderer.weights import first_fault

_log = logging.getLogger(__name__)

RECORD = "videojob-files.json"
"""Lists the files of a staged model with their sizes: what was cut off later is noticed before it is loaded."""

_LOCK_PAUSE_SECONDS = 0.5
_MAIN = "main"


@dataclass(frozen=True, slots=True)
class StagedModel:
    """A model in the cache.

    Attributes:
        version: the commit of a hub repository, else a hash of what the source had.
    """

    folder: Path
    version: str


class ModelCache:
    """The cache in one folder.

    Args:
        root: the folder; made when something is staged.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, name: str, revision: str | None) -> StagedModel | None:
        """Return a staged model without asking its source; None where it is not there, or no longer whole."""
        home = self._home(name)
        for version in (_read(home / _file_name(revision or _MAIN)), revision):
            if version and (home / version).is_dir() and _fault(home / version) is None:
                return StagedModel(home / version, version)
        return None

    def stage(self, source: Source) -> StagedModel:
        """Bring a model into the cache as its source has it now; wait while another process does so.

        Raises:
            WeightsUnavailable: the source has no such model, refuses it or stays away, or the model is damaged there.
            DiskFull: there is no room.
            DiskUnwritable: the cache is not ours to write.
        """
        listing = _list(source)
        home = self._home(source.name)
        with _told(self._root):
            _make_folder(home)
            with _locked(home / "lock"):
                folder = home / listing.version
                if not folder.is_dir() or _fault(folder):
                    _complete(source, listing, folder)
                _write(home / _file_name(source.revision or _MAIN), listing.version)
        return StagedModel(folder, listing.version)

    def _home(self, name: str) -> Path:
        readable = re.sub(r"[^A-Za-z0-9._-]+", "--", name.strip("/"))
        return self._root / f"{readable[-120:]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _list(source: Source) -> Listing:
    try:
        return source.list()
    except SourceAway as error:
        raise WeightsUnavailable(f"{source.name} is not in the cache, and cannot be fetched: {error}") from error


def _complete(source: Source, listing: Listing, folder: Path) -> None:
    partial = folder.with_name(f"{folder.name}.partial")
    if folder.is_dir():  # damaged since; its whole files need not come again
        _log.warning("a staged model is damaged, mending it", extra={"folder": str(folder), "fault": _fault(folder)})
        folder.rename(partial)
    _make_folder(partial)
    _log.info("staging a model", extra={"source": source.name, "version": listing.version})
    download(source, listing, partial)
    if fault := first_fault(partial):
        raise WeightsUnavailable(f"{source.name} is no sound model: {fault}")
    _write(partial / RECORD, json.dumps({"source": source.name, "files": [asdict(file) for file in listing.files]}))
    _make_readable(partial)
    partial.rename(folder)


def _fault(folder: Path) -> str | None:
    """Say which recorded file of a staged model is missing or has another size."""
    try:
        files = json.loads((folder / RECORD).read_text())["files"]
    except (OSError, ValueError, KeyError):
        return f"{folder / RECORD} cannot be read"
    for file in files:
        if not is_whole(folder, RemoteFile(file["path"], file["bytes"], None)):
            return f"{folder / file['path']} does not have its {file['bytes']} bytes"
    return None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a source; the kernel frees it when the process ends, in whatever way."""
    with path.open("a") as lock:
        path.chmod(0o666)  # processes of other users stage as well
        told = False
        while not _try(lock.fileno()):
            if not told:
                _log.info("another process stages this model, waiting for it", extra={"lock": str(path)})
                told = True
            time.sleep(_LOCK_PAUSE_SECONDS)
        yield


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _told(root: Path) -> Iterator[None]:
    """Tell a cache that cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOLCK}:
            raise DiskUnwritable(f"the model cache {root} cannot be written: {error.strerror}") from error
        raise


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


def _make_readable(folder: Path) -> None:
    """Open files and folders to every user: whoever staged them, renderers run as 65532."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _file_name(revision: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "--", revision)


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.chmod(0o644)
    fresh.replace(path)
