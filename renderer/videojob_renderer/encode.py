"""Frames into an MP4 that every browser plays: H.264, yuv420p, BT.709, the index in front.

Raw frames go through a pipe into the ffmpeg that imageio-ffmpeg brings. The CPU encodes, because an H100 has no video
encoder; it needs less than a second for 49 frames. Threads are fixed, and times and names of encoders left out, so
that the same frames give the same bytes, and the video's sha256 says whether two renders are equal.
"""

import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import imageio_ffmpeg  # type: ignore[import-untyped]
import numpy as np

from videojob_renderer.decode import Frames
from videojob_renderer.errors import DiskFull, EncoderFailed

_THREADS = 2
_QUALITY = 18  # x264's constant rate factor: visually lossless
_PRESET = "veryfast"  # slower ones look further ahead and do most of their work after the last frame
_BT709 = "scale=out_color_matrix=bt709:out_range=tv,setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709"


class Mp4Writer:
    """An ffmpeg process that takes frames and writes one MP4; a context manager.

    Args:
        path: of the MP4.
        width: of all frames.
        height: of all frames.
        fps: frames a second.
        comment: goes into the metadata; players and `ffprobe` show it.

    Raises:
        EncoderFailed, DiskFull: from `write` and at the end of the context.
    """

    def __init__(self, path: Path, *, width: int, height: int, fps: int, comment: str) -> None:
        command = _command(path, width, height, fps, comment)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        self._complaint = b""
        # Read beside the writing: a full pipe of complaints would stop ffmpeg.
        self._reader = threading.Thread(target=self._read_complaint, name="ffmpeg", daemon=True)
        self._reader.start()

    def write(self, frames: Frames) -> None:
        """Append frames."""
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - told to mypy: we asked for a pipe
        rest = np.ascontiguousarray(frames).data.cast("B")
        try:
            while rest:  # a raw pipe may take a part only
                rest = rest[stdin.write(rest) :]
        except BrokenPipeError:
            self._finish()

    def kill(self) -> None:
        """End ffmpeg at once, and with it a `write` that waits for it in another thread."""
        self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish()
        else:
            self.kill()
            self._close()

    def _finish(self) -> None:
        if self._close() == 0:
            return
        complaint = self._complaint.decode(errors="replace").strip()[-500:]
        if "No space left on device" in complaint:
            raise DiskFull("there is no space left on this node for the video")
        raise EncoderFailed(f"ffmpeg ended with {self._process.returncode}: {complaint}")

    def _close(self) -> int:
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        code = self._process.wait()
        self._reader.join()
        if self._process.stderr is not None:
            self._process.stderr.close()
        return code

    def _read_complaint(self) -> None:
        if self._process.stderr is not None:
            self._complaint = self._process.stderr.read()


def _command(path: Path, width: int, height: int, fps: int, comment: str) -> list[str]:
    frames = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "pipe:0", "-an"]
    codec = ["-c:v", "libx264", "-preset", _PRESET, "-crf", str(_QUALITY), "-pix_fmt", "yuv420p", "-vf", _BT709]
    same_bytes = ["-threads", str(_THREADS), "-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1"]
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y"]
    about = ["-metadata", f"comment={comment}", "-movflags", "+faststart"]
    return [*ffmpeg, *frames, *codec, *same_bytes, *about, str(path)]
