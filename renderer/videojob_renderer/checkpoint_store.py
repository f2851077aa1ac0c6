"""The one checkpoint of a VideoJob in S3: fetched beside the imports, written beside the denoising, gone at the end.

It knows bytes only, so it can begin before torch is there. Writing is latest-wins on a thread of its own: a storage
that is slow or away never makes the GPU wait. A checkpoint is a courtesy: what goes wrong with it is a warning, and
costs at most the steps since the last one.
"""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from videojob.names import checkpoint_key
from videojob_renderer.environment import Settings
from videojob_renderer.errors import StorageUnavailable
from videojob_renderer.objects import Objects, ObjectTooLarge, StorageAway
from videojob_renderer.patience import patiently

_log = logging.getLogger(__name__)

MAX_BYTES = 512 * 2**20
"""The largest one, of 161 frames 1360x768, has 70 MB."""

LAST_WRITE_SECONDS = 45.0
"""How long the end of a pod waits for its last checkpoint: half of the 90 s that `interruption` gives it."""

PATIENCE_SECONDS = 30.0
"""How long S3 is waited for at either end; beyond it a pod begins anew, or leaves the checkpoint behind."""

Encode = Callable[[], bytes]


class CheckpointStore:
    """The checkpoint of one VideoJob; a context manager, whose end writes what still waits.

    Args:
        settings: whose checkpoint, and how often one is wanted.
        storage: keeps it.
    """

    def __init__(self, settings: Settings, storage: Objects) -> None:
        self._bucket = settings.bucket
        self._key = checkpoint_key(settings.prefix, settings.namespace, settings.uid)
        self._interval_seconds = settings.checkpoint_seconds
        self._storage = storage
        self._written_seconds = time.monotonic()
        self._changed = threading.Condition()
        self._waiting: Encode | None = None
        self._closing = False
        self._found: bytes | None = None
        self._fetcher = threading.Thread(target=self._fetch, name="checkpoint-fetch", daemon=True)
        self._writer = threading.Thread(target=self._write, name="checkpoint-write", daemon=True)

    def __enter__(self) -> Self:
        self._fetcher.start()
        self._writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """End the writing; after a failure or an interruption wait for the last one, which the next pod will want."""
        with self._changed:
            if kind is None:
                self._waiting = None
            self._closing = True
            self._changed.notify()
        self._writer.join(LAST_WRITE_SECONDS)

    def found(self) -> bytes | None:
        """Return what an earlier pod left; waits for the answer of S3."""
        self._fetcher.join()
        return self._found

    def is_due(self) -> bool:
        """Tell whether the interval since the last one has passed."""
        return time.monotonic() - self._written_seconds >= self._interval_seconds

    def put(self, encode: Encode) -> None:
        """Have a checkpoint written soon, in place of one that still waits; returns at once."""
        with self._changed:
            self._waiting = encode
            self._changed.notify()
        self._written_seconds = time.monotonic()

    def remove(self) -> None:
        """Delete the checkpoint of a VideoJob whose video is there; after the end of the context."""
        if self._writer.is_alive():
            _log.warning("the checkpoint was left in S3: its last write has not ended")
            return
        try:
            patiently(lambda: self._storage.delete(self._bucket, self._key), PATIENCE_SECONDS)
        except (StorageAway, StorageUnavailable) as error:
            _log.warning("the checkpoint was left in S3: %s", error)

    def _fetch(self) -> None:
        try:
            self._found = patiently(lambda: self._storage.get(self._bucket, self._key, MAX_BYTES), PATIENCE_SECONDS)
        except (StorageAway, StorageUnavailable, ObjectTooLarge) as error:
            _log.warning("no checkpoint could be read, beginning anew: %s", error)

    def _write(self) -> None:
        while encode := self._take():
            try:
                self._storage.put(self._bucket, self._key, encode(), "application/octet-stream")
            except (StorageAway, StorageUnavailable) as error:
                _log.warning("a checkpoint was not written: %s", error)

    def _take(self) -> Encode | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            encode, self._waiting = self._waiting, None
            return encode
