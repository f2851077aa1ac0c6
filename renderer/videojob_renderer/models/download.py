"""Brings the files of a source into a folder: in parallel, from where an earlier try ended, each checked at its end."""

import errno
import logging
import random
import shutil
import threading
from collections.abc import Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path

from videojob_renderer.errors import DiskFull, WeightsUnavailable
from videojob_renderer.models.source import Listing, RemoteFile, Source, SourceAway

_log = logging.getLogger(__name__)

_WORKERS = 4
_REPORT_SECONDS = 10.0
_TRIES = 6
"""In a row without a single new byte."""
_LONGEST_PAUSE_SECONDS = 30.0
_GIB = 2**30
_PART = ".part"


def download(source: Source, listing: Listing, folder: Path) -> None:
    """Complete a folder, which may hold some of the files already, whole or as a part.

    Raises:
        WeightsUnavailable: the source refused, stayed away, or gave other bytes than it said.
        DiskFull: there is no room for all of it.
        OSError: a file cannot be written.
    """
    missing = [file for file in listing.files if not is_whole(folder, file)]
    _hold_room(missing, folder, source)
    stopping = threading.Event()
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="download") as pool:
        try:
            _wait([pool.submit(_fetch, source, listing, file, folder, stopping) for file in missing], missing, folder)
        finally:
            stopping.set()  # whatever ends us, an interruption included, ends the threads at their next chunk
            pool.shutdown(wait=False, cancel_futures=True)


def is_whole(folder: Path, file: RemoteFile) -> bool:
    """Tell whether a file lies in the folder in its full size; it got its name only after its digest was checked."""
    try:
        return (folder / file.path).stat().st_size == file.bytes
    except FileNotFoundError:
        return False


def _hold_room(missing: Iterable[RemoteFile], folder: Path, source: Source) -> None:
    wanted = sum(file.bytes - _size(_part(folder, file)) for file in missing)
    free = shutil.disk_usage(folder).free
    if wanted > free:
        raise DiskFull(
            f"{source.name} needs {wanted / _GIB:.1f} GiB more in {folder.parent}, which has {free / _GIB:.1f} GiB free"
        )


def _wait(futures: list[Future[None]], files: list[RemoteFile], folder: Path) -> None:
    total = sum(file.bytes for file in files)
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=_REPORT_SECONDS, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        if pending:
            there = sum(_size(folder / file.path) or _size(_part(folder, file)) for file in files)
            _log.info("downloading", extra={"bytes": there, "of_bytes": total})


def _fetch(source: Source, listing: Listing, file: RemoteFile, folder: Path, stopping: threading.Event) -> None:
    part = _part(folder, file)
    part.parent.mkdir(parents=True, exist_ok=True)
    if _size(part) > file.bytes:
        part.unlink()
    part.touch()  # an empty file is never read
    fruitless = 0
    while (size := _size(part)) < file.bytes:
        try:
            _append(source, listing, file, part, stopping)
        except SourceAway as error:
            fruitless = 0 if _size(part) > size else fruitless + 1
            if fruitless == _TRIES:
                raise WeightsUnavailable(f"{file.path} of {source.name} cannot be downloaded: {error}") from error
            _log.warning("the download broke off, trying on", extra={"file": file.path, "error": str(error)})
            stopping.wait(min(2**fruitless, _LONGEST_PAUSE_SECONDS) * random.uniform(0.5, 1))
        if stopping.is_set():
            return
    _accept(source, file, part, folder / file.path)


def _append(source: Source, listing: Listing, file: RemoteFile, part: Path, stopping: threading.Event) -> None:
    size = _size(part)
    with part.open("ab") as opened:
        for chunk in source.read(listing, file, size):
            opened.write(chunk)
            opened.flush()  # what came is kept, whenever we are killed
            size += len(chunk)
            if stopping.is_set():
                return
    if size < file.bytes:
        raise SourceAway(f"it ended after {size} of {file.bytes} bytes")


def _accept(source: Source, file: RemoteFile, part: Path, path: Path) -> None:
    """Give a file its name if its bytes are the right ones."""
    if _size(part) == file.bytes and (file.digest is None or file.digest.is_of(part)):
        part.replace(path)
        return
    part.unlink()
    raise WeightsUnavailable(f"{file.path} of {source.name} arrived damaged, and was thrown away; try again")


def _part(folder: Path, file: RemoteFile) -> Path:
    return folder / (file.path + _PART)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        if error.errno == errno.ENOENT:
            return 0
        raise
