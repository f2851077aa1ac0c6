"""How old an answer is that came from memory while the API server was away; goes into a header of the answer."""

import math
from contextvars import ContextVar

from videojob_api.safety import RawHeaders

HEADER = "X-Videojob-Stale-Seconds"
_RAW_HEADER = HEADER.lower().encode()

_seconds: ContextVar[float] = ContextVar("stale_seconds", default=0.0)


def begin() -> None:
    """Forget what was told of an earlier answer."""
    _seconds.set(0.0)


def tell(seconds: float) -> None:
    """Tell that the answer of this request rests on what was known so many seconds ago."""
    _seconds.set(seconds)


def headers() -> RawHeaders:
    """Return the header for the answer of this request; none where it is fresh."""
    seconds = _seconds.get()
    return [(_RAW_HEADER, str(math.ceil(seconds)).encode())] if seconds else []
