"""The files of a render, all written while the frames come: video, thumbnail, spritesheet.

ffmpeg gets each chunk first and encodes it in its own process; the small pictures are made meanwhile. So almost
nothing is left to do after the last frame. All of it happens in a thread: whoever makes the frames has a GPU to feed,
and does not wait for a pipe.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from videojob.resolve import ResolvedRequest
from videojob_renderer.beside import Beside
from videojob_renderer.decode import Frames
from videojob_renderer.encode import Mp4Writer
from videojob_renderer.errors import EncoderFailed
from videojob_renderer.spritesheet import Grid, SpriteSheet
from videojob_renderer.thumbnail import write_thumbnail

VIDEO_NAME = "video.mp4"
THUMBNAIL_NAME = "thumbnail.jpg"
SPRITESHEET_NAME = "spritesheet.jpg"


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG and its size in pixels."""

    path: Path
    width: int
    height: int


class OutputFiles:
    """Takes the frames of a request, in order.

    Args:
        folder: for the files.
        request: size and number of the frames.
        writer: takes them first.
    """

    def __init__(self, folder: Path, request: ResolvedRequest, writer: Mp4Writer) -> None:
        self._num_frames = request.num_frames
        self._frames = 0
        self._writer = writer
        self.grid = Grid.of(request.num_frames, request.width, request.height)
        self._sprites = SpriteSheet(self.grid)
        self.video = folder / VIDEO_NAME
        self.thumbnail = Picture(folder / THUMBNAIL_NAME, 0, 0)
        self.spritesheet = Picture(folder / SPRITESHEET_NAME, 0, 0)
        self._thread = Beside(self._take, "outputs")

    def write(self, frames: Frames) -> None:
        """Append frames, which must not change any more.

        Raises:
            EncoderFailed, DiskFull: earlier ones could not be written.
        """
        self._thread.put(frames)

    def finish(self) -> None:
        """Write what needed all frames.

        Raises:
            EncoderFailed: there were too few or too many.
            EncoderFailed, DiskFull: some could not be written.
        """
        self._thread.finish()
        if self._frames != self._num_frames:
            raise EncoderFailed(f"the model gave {self._frames} frames instead of {self._num_frames}")
        path = self.spritesheet.path
        self.spritesheet = Picture(path, *self._sprites.write(path))

    def abandon(self) -> None:
        """End the thread, whatever it is at."""
        self._writer.kill()
        self._thread.end()

    def _take(self, frames: Frames) -> None:
        self._writer.write(frames)
        self._sprites.add(frames)
        middle = self._num_frames // 2 - self._frames
        if 0 <= middle < len(frames):
            path = self.thumbnail.path
            self.thumbnail = Picture(path, *write_thumbnail(frames[middle], path))
        self._frames += len(frames)


@contextmanager
def output_files(folder: Path, request: ResolvedRequest, comment: str) -> Iterator[OutputFiles]:
    """Take the frames of a request; at the end of the context all files are whole.

    Args:
        folder: for the files.
        request: size, frames and pace of the video.
        comment: goes into the video's metadata.

    Raises:
        EncoderFailed, DiskFull: from `write` and at the end of the context.
    """
    video = folder / VIDEO_NAME
    with Mp4Writer(video, width=request.width, height=request.height, fps=request.fps, comment=comment) as writer:
        files = OutputFiles(folder, request, writer)
        try:
            yield files
            files.finish()  # while ffmpeg encodes what it still holds
        except BaseException:
            files.abandon()
            raise
