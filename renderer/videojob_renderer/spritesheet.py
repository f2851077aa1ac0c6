"""Many small frames of a video in one JPEG, so that a player can show the picture under the pointer without the video.

The grid is a pure function of the video's size and length. A page finds the tile of a frame with
`tile = frame // frame_interval`, in reading order.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from videojob_renderer.decode import Frames

MAX_TILES = 25
COLUMNS = 5
MAX_TILE_SIDE = 160
_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Grid:
    """Where each tile is.

    Attributes:
        frame_interval: frames from one tile to the next.
        tiles: how many there are; the last row may be shorter.
    """

    frame_interval: int
    tiles: int
    columns: int
    rows: int
    tile_width: int
    tile_height: int

    @classmethod
    def of(cls, num_frames: int, width: int, height: int) -> "Grid":
        """Lay out the frames of a video of this size."""
        interval = math.ceil(num_frames / MAX_TILES)
        tiles = math.ceil(num_frames / interval)
        scale = min(1.0, MAX_TILE_SIDE / max(width, height))
        return cls(
            frame_interval=interval,
            tiles=tiles,
            columns=min(COLUMNS, tiles),
            rows=math.ceil(tiles / COLUMNS),
            tile_width=max(1, round(width * scale)),
            tile_height=max(1, round(height * scale)),
        )

    def position(self, tile: int) -> tuple[int, int]:
        """Return the left and upper edge of a tile in pixels."""
        row, column = divmod(tile, self.columns)
        return column * self.tile_width, row * self.tile_height


class SpriteSheet:
    """Collects tiles as frames come, in order.

    Args:
        grid: where they go.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._frames = 0
        self._sheet = Image.new("RGB", (grid.columns * grid.tile_width, grid.rows * grid.tile_height))

    def add(self, frames: Frames) -> None:
        """Take what is needed of the next frames."""
        interval = self._grid.frame_interval
        for index in range(-self._frames % interval, len(frames), interval):
            tile = (self._frames + index) // interval
            small = Image.fromarray(frames[index]).resize(
                (self._grid.tile_width, self._grid.tile_height), Image.Resampling.BILINEAR, reducing_gap=2.0
            )
            self._sheet.paste(small, self._grid.position(tile))
        self._frames += len(frames)

    def write(self, path: Path) -> tuple[int, int]:
        """Write the sheet as a JPEG; return its width and height."""
        self._sheet.save(path, format="JPEG", quality=_QUALITY)
        return self._sheet.size
