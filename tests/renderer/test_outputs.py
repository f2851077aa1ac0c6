"""The files of a render agree with each other: the tiles with the video, the manifest with what was uploaded."""

import hashlib
import json
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import mp4
import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from videojob.families import LONG, SHORT
from videojob.resolve import ResolvedRequest
from videojob.status import Artifact, Artifacts, RendererReport
from videojob_renderer.errors import DiskFull, EncoderFailed
from videojob_renderer.manifest import build_manifest
from videojob_renderer.outputs import output_files
from videojob_renderer.provenance import AI_GENERATED, provenance
from videojob_renderer.spritesheet import COLUMNS, MAX_TILE_SIDE, MAX_TILES, Grid

pytestmark = pytest.mark.torch

MakeRequest = Callable[..., ResolvedRequest]

REPORT = RendererReport(version="1.2.3", torch="2.13.0", diffusers="0.42.1", dtype="bfloat16", gpu="NVIDIA H100")
LEGAL_FRAMES = st.sampled_from(range(9, 162, 8)).filter(lambda frames: SHORT.allows(frames) or LONG.allows(frames))
SIDES = st.integers(min_value=1, max_value=85).map(lambda k: 16 * k)


def grey(count: int, width: int = 64, height: int = 48) -> np.ndarray:
    """Frame number n is of one grey, 5 n."""
    levels = (5 * np.arange(count, dtype=np.uint8)).reshape(count, 1, 1, 1)
    return np.broadcast_to(levels, (count, height, width, 3)).copy()


def ffmpegs() -> list[psutil.Process]:
    """Find the encoders that this process has started."""
    return [child for child in psutil.Process().children() if "ffmpeg" in child.name()]


def write_all(folder: Path, request: ResolvedRequest) -> None:
    """Write the files of a request, a few frames at a time."""
    with output_files(folder, request, "{}") as files:
        for first in range(0, request.num_frames, 7):
            files.write(grey(min(7, request.num_frames - first), request.width, request.height))


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@given(frames=LEGAL_FRAMES, width=SIDES, height=SIDES)
def test_every_tile_has_a_place_of_its_own_on_the_sheet(frames: int, width: int, height: int) -> None:
    grid = Grid.of(frames, width, height)
    assert grid.tiles <= MAX_TILES
    assert (grid.tiles - 1) * grid.frame_interval < frames <= grid.tiles * grid.frame_interval
    assert max(grid.tile_width, grid.tile_height) <= MAX_TILE_SIDE
    places = {grid.position(tile) for tile in range(grid.tiles)}
    assert len(places) == grid.tiles
    assert all(x + grid.tile_width <= grid.columns * grid.tile_width for x, _ in places)
    assert max(y for _, y in places) == (grid.rows - 1) * grid.tile_height


def test_a_tile_shows_the_frame_that_its_number_says(tmp_path: Path, make_request: MakeRequest) -> None:
    shown = grey(49)
    with output_files(tmp_path, make_request(num_frames=49), "{}") as files:
        files.write(shown[:9])
        for first in range(9, 49, 8):
            files.write(shown[first : first + 8])
    grid = files.grid
    assert (grid.tiles, grid.frame_interval, grid.columns, grid.rows) == (25, 2, COLUMNS, 5)
    with Image.open(files.spritesheet.path) as sheet:
        assert sheet.size == (files.spritesheet.width, files.spritesheet.height) == (5 * 64, 5 * 48)
        for frame in (0, 2, 8, 24, 48):
            x, y = grid.position(frame // grid.frame_interval)
            pixel = sheet.getpixel((x + 32, y + 24))
            assert isinstance(pixel, tuple)
            assert pixel[0] == pytest.approx(5 * frame, abs=3)
    with Image.open(files.thumbnail.path) as thumbnail:
        assert thumbnail.size == (files.thumbnail.width, files.thumbnail.height) == (64, 48)
    assert mp4.decode(files.video).frames == 49


def test_a_video_of_too_few_frames_is_no_video(tmp_path: Path, make_request: MakeRequest) -> None:
    with (
        pytest.raises(EncoderFailed, match="gave 8 frames instead of 9"),
        output_files(tmp_path, make_request(num_frames=9), "{}") as files,
    ):
        files.write(grey(8))


@pytest.mark.timeout(120)
@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals to stop a process")
def test_who_makes_frames_does_not_wait_for_ffmpeg(tmp_path: Path, make_request: MakeRequest) -> None:
    shown = grey(17, 640, 480)  # far more than a pipe holds
    request = make_request(num_frames=17, width=640, height=480)
    with output_files(tmp_path, request, "{}") as files:
        (ffmpeg,) = ffmpegs()
        ffmpeg.suspend()
        files.write(shown[:9])
        files.write(shown[9:])
        ffmpeg.resume()
    assert mp4.decode(files.video).frames == 17


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_disk_that_fills_up_beside_the_frames_fails_the_render_with_its_own_reason(
    tmp_path: Path, make_request: MakeRequest
) -> None:
    (tmp_path / "video.mp4").symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        write_all(tmp_path, make_request(num_frames=49))


def test_a_picture_that_cannot_be_written_fails_the_render(tmp_path: Path, make_request: MakeRequest) -> None:
    (tmp_path / "thumbnail.jpg").mkdir()
    with pytest.raises(IsADirectoryError):
        write_all(tmp_path, make_request(num_frames=9))


def test_a_render_that_ends_early_leaves_neither_ffmpeg_nor_thread(tmp_path: Path, make_request: MakeRequest) -> None:
    def die_after_a_chunk() -> None:
        with output_files(tmp_path, make_request(num_frames=49), "{}") as files:
            files.write(grey(9))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        die_after_a_chunk()
    assert not ffmpegs()
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "outputs"], "its end")


def test_the_video_says_what_made_it_and_nothing_private(tmp_path: Path, make_request: MakeRequest) -> None:
    request = make_request(prompt="A secret = \\ ; # squirrel", negative_prompt="a 'quoted' crow", num_frames=9)
    with output_files(tmp_path, request, provenance(request, 7, REPORT)) as files:
        files.write(grey(9))
    said = json.loads(mp4.comment(files.video))
    assert said["promptSha256"] == hashlib.sha256(request.prompt.encode()).hexdigest()
    assert said["negativePromptSha256"] == hashlib.sha256(request.negative_prompt.encode()).hexdigest()
    assert (said["model"], said["seed"], said["steps"], said["dtype"]) == ("CogVideoX-tiny", 7, 3, "bfloat16")
    assert (said["generator"], said["torch"], said["diffusers"]) == ("videojob 1.2.3", "2.13.0", "0.42.1")
    assert said["digitalSourceType"] == AI_GENERATED
    assert b"squirrel" not in files.video.read_bytes()
    assert b"quoted" not in files.video.read_bytes()


def test_the_manifest_is_enough_to_make_the_video_again(make_request: MakeRequest) -> None:
    request = make_request(seed=None, negative_prompt="blurry")
    files = Artifacts(video=Artifact(uri="s3://videos/video.mp4", bytes=5, sha256="a" * 64))
    job = {"name": "squirrel", "namespace": "studio", "uid": "uid-1", "podName": "squirrel-x"}
    manifest = build_manifest(job, request, 7, report=REPORT, files=files, now=datetime(2026, 11, 27, tzinfo=UTC))
    again = ResolvedRequest.model_validate(manifest["request"] | {"seed": manifest["resolved"]["seed"]})
    assert again == request.model_copy(update={"seed": 7})
    assert manifest["files"]["video"]["sha256"] == "a" * 64
    assert manifest["renderer"]["gpu"] == "NVIDIA H100"
    assert manifest["createdTime"] == "2026-11-27T00:00:00+00:00"
    assert json.loads(json.dumps(manifest)) == manifest
