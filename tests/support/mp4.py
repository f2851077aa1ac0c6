"""What a player would say of an MP4: its boxes in their order, and what ffmpeg decodes."""

import re
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg


@dataclass(frozen=True)
class Decoded:
    """What ffmpeg made of the file."""

    codec: str
    pixel_format: str
    width: int
    height: int
    fps: float
    frames: int


def boxes(file: Path) -> list[str]:
    """Return the types of the top-level boxes, in the order of the file."""
    content = file.read_bytes()
    found, offset = [], 0
    while offset < len(content):
        size, kind = struct.unpack_from(">I4s", content, offset)
        if size == 1:  # the real size follows, in 64 bits
            (size,) = struct.unpack_from(">Q", content, offset + 8)
        assert size >= 8, f"a box of {size} bytes at {offset}"
        assert offset + size <= len(content), f"the box {kind!r} at {offset} is cut off"
        found.append(kind.decode("ascii"))
        offset += size
    return found


def decode(file: Path) -> Decoded:
    """Decode every frame; fail on the slightest error in the stream."""
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-xerror", "-i", str(file), "-f", "null", "-"]
    result = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    stream = re.search(
        r"Stream #0:0.*: Video: (\w+).*?, (\w+)(?:\([^)]*\))?, (\d+)x(\d+).*?, ([\d.]+) fps", result.stderr
    )
    assert stream, result.stderr
    codec, pixel_format, width, height, fps = stream.groups()
    frames = re.findall(r"frame=\s*(\d+)", result.stderr)[-1]
    return Decoded(codec, pixel_format, int(width), int(height), float(fps), int(frames))


def comment(file: Path) -> str:
    """Return the comment in the file's metadata."""
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(file), "-f", "ffmetadata", "-"]
    told = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout
    found = re.search(r"^comment=(.*)$", told, re.MULTILINE)
    assert found, told
    return re.sub(r"\\(.)", r"\1", found[1])
