"""The MP4 plays everywhere, starts at once, and is the same file for the same frames."""

import struct
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from videojob_renderer.encode import Mp4Writer
from videojob_renderer.errors import DiskFull, EncoderFailed
from videojob_renderer.thumbnail import MAX_WIDTH, write_thumbnail

pytestmark = pytest.mark.torch


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, 48, 64, 3), dtype=np.uint8)


def write(path: Path, *chunks: np.ndarray) -> Path:
    with Mp4Writer(path, width=64, height=48, fps=12, comment="{}") as writer:
        for chunk in chunks:
            writer.write(chunk)
    return path


def boxes(path: Path) -> list[str]:
    content, offset, names = path.read_bytes(), 0, []
    while offset < len(content):
        size, name = struct.unpack_from(">I4s", content, offset)
        names.append(name.decode())
        offset += size
    return names


def test_the_video_is_h264_in_the_colours_every_browser_knows(tmp_path: Path) -> None:
    video = write(tmp_path / "video.mp4", frames(9), frames(8))
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(video), "-f", "null", "-"]
    told = subprocess.run(ffmpeg, capture_output=True, text=True, check=True).stderr
    assert "h264 (High)" in told
    assert "yuv420p(tv, bt709" in told
    assert "64x48" in told
    assert "12 fps" in told
    assert imageio_ffmpeg.count_frames_and_secs(str(video))[0] == 17


def test_the_index_stands_before_the_pictures(tmp_path: Path) -> None:
    found = boxes(write(tmp_path / "video.mp4", frames(9)))
    assert found.index("moov") < found.index("mdat")


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    one = write(tmp_path / "one.mp4", frames(9), frames(8))
    other = write(tmp_path / "other.mp4", np.concatenate([frames(9), frames(8)]))
    assert one.read_bytes() == other.read_bytes()


def test_what_ffmpeg_complains_about_is_told(tmp_path: Path) -> None:
    with pytest.raises(EncoderFailed, match="No such file or directory"):
        write(tmp_path / "nowhere" / "video.mp4", frames(9))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "video.mp4").symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        write(tmp_path / "video.mp4", frames(49))


def test_an_error_on_the_way_ends_ffmpeg(tmp_path: Path) -> None:
    writer = Mp4Writer(tmp_path / "video.mp4", width=64, height=48, fps=12, comment="{}")
    with pytest.raises(KeyboardInterrupt), writer:
        raise KeyboardInterrupt
    assert writer._process.returncode is not None


def test_a_large_thumbnail_is_made_smaller(tmp_path: Path) -> None:
    size = write_thumbnail(np.zeros((768, 1360, 3), np.uint8), tmp_path / "thumbnail.jpg")
    assert size == (MAX_WIDTH, 361)
    with Image.open(tmp_path / "thumbnail.jpg") as image:
        assert (image.format, image.size) == ("JPEG", size)
