"""Reads weights into the page cache while the libraries are being imported, so that loading finds them in memory.

Started before torch, whose import takes 5 s of one core and hardly any disk.
"""

import os
import queue
import threading
from collections.abc import Mapping
from pathlib import Path

from videojob_renderer.environment import Settings
from videojob_renderer.models.locate import find

_THREADS = 4
_CHUNK_BYTES = 16 * 2**20


def prefetch_model(settings: Settings, environ: Mapping[str, str] = os.environ) -> "Prefetch | None":
    """Begin to read the model of a request, where it is on this node; return what reads.

    Whether the text encoder is needed is known here only where there is no cache of embeddings.
    """
    found = find(settings.request.source, settings.request.revision, environ)
    encoder = () if settings.speed.embedding_cache else ("text_encoder",)
    return Prefetch(found.folder, ("transformer", "vae", *encoder)) if found else None


class Prefetch:
    """Threads that read weights once, and end by themselves.

    Args:
        folder: of a diffusers model; one that is not there is no error here.
        components: which of its folders, in this order.
    """

    def __init__(self, folder: Path, components: tuple[str, ...]) -> None:
        self._files: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self.bytes_read = 0
        self._counting = threading.Lock()
        for component in components:
            for file in sorted((folder / component).glob("*.safetensors")):
                self._files.put(file)
        count = min(_THREADS, self._files.qsize())
        self._threads = [threading.Thread(target=self._read_all, name="prefetch", daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until all is read."""
        for thread in self._threads:
            thread.join()

    def _read_all(self) -> None:
        buffer = bytearray(_CHUNK_BYTES)
        while True:
            try:
                file = self._files.get_nowait()
            except queue.Empty:
                return
            self._read(file, buffer)

    def _read(self, file: Path, buffer: bytearray) -> None:
        try:
            with file.open("rb", buffering=0) as opened:
                while count := opened.readinto(buffer):
                    with self._counting:
                        self.bytes_read += count
        except OSError:
            return  # whoever loads it will say what is wrong with it
