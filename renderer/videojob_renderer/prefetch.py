"""Reads weights into the page cache while the libraries are being imported, so that loading finds them in memory.

Started before torch, whose import takes 5 s of one core and hardly any disk.
"""

import queue
import threading
from pathlib import Path

_THREADS = 4
_CHUNK_BYTES = 16 * 2**20


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
