"""Log files of containers: which one is asked for, and from which byte on."""

from pathlib import Path
from typing import BinaryIO

_BLOCK_BYTES = 65536


def log_file(folder: Path, *, previous: bool) -> Path | None:
    """Return the log of a container's last start, or of the one before it; None where there is none."""
    kept = sorted(folder.glob("*.log"), key=lambda path: int(path.stem))
    wanted = 2 if previous else 1
    return kept[-wanted] if len(kept) >= wanted else None


def tail_offset(file: BinaryIO, lines: int) -> int:
    """Return where the last `lines` lines of a file begin; reads no more of it than those."""
    end = file.seek(0, 2)
    if lines <= 0:
        return end
    left, position = lines, end
    while position > 0:
        start = max(0, position - _BLOCK_BYTES)
        file.seek(start)
        block = file.read(position - start)
        # The newline that ends the file ends its last line; it begins no new one.
        stop = len(block) - 1 if position == end and block.endswith(b"\n") else len(block)
        while (stop := block.rfind(b"\n", 0, stop)) >= 0:
            left -= 1
            if left == 0:
                return start + stop + 1
        position = start
    return 0
