"""Which bytes of a video a request asks for: conditional and range headers of RFC 9110, as far as one part goes.

A header that is not understood, several ranges among them, is ignored: the answer is then the whole video, which the
RFC allows and every client understands.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from videojob_api.errors import RangeNotSatisfiable

_ONE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes first to last, both included, of a file of `total` bytes."""

    first: int
    last: int
    total: int

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.last - self.first + 1

    @property
    def is_whole(self) -> bool:
        """Whether these are all bytes."""
        return self.length == self.total

    @property
    def content_range(self) -> str:
        """The header that tells a client which bytes these are."""
        return f"bytes {self.first}-{self.last}/{self.total}"


def is_unchanged(headers: Mapping[str, str], etag: str) -> bool:
    """Tell whether the client has this very file already (If-None-Match)."""
    known = headers.get("if-none-match", "")
    return known.strip() == "*" or etag in {tag.strip().removeprefix("W/") for tag in known.split(",")}


def span_asked_for(headers: Mapping[str, str], total: int, etag: str) -> Span | None:
    """Return the range asked for, or None for the whole file.

    Raises:
        RangeNotSatisfiable: the file has none of these bytes.
    """
    match = _ONE_RANGE.fullmatch(headers.get("range", "").strip())
    if match is None or match[1] == match[2] == "" or headers.get("if-range", etag).strip() != etag:
        return None
    if match[1] == "":
        first, last = max(total - int(match[2]), 0), total - 1
    else:
        first, last = int(match[1]), min(int(match[2]) if match[2] else total - 1, total - 1)
        if match[2] and int(match[2]) < first:
            return None  # not a range at all
    if first > last:
        message = f"the video has {total} bytes"
        raise RangeNotSatisfiable(message, field="Range", headers={"Content-Range": f"bytes */{total}"})
    return Span(first, last, total)
