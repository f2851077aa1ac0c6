"""One frame of the video as a JPEG, for lists."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

MAX_WIDTH = 640
_QUALITY = 85


def write_thumbnail(frame: npt.NDArray[np.uint8], path: Path) -> tuple[int, int]:
    """Write a frame (height, width, RGB) as a JPEG at most `MAX_WIDTH` wide; return its width and height."""
    image = Image.fromarray(frame)
    if image.width > MAX_WIDTH:
        image = image.resize((MAX_WIDTH, round(image.height * MAX_WIDTH / image.width)), Image.Resampling.LANCZOS)
    image.save(path, format="JPEG", quality=_QUALITY, optimize=True)
    return image.size
