"""How old an answer is that came from memory while the API server was away; goes into a header of the answer."""

import math
from contextvars import ContextVar

HEADER = "X-Videojob-Stale-Seconds"

_seconds: ContextVar[float] = ContextVar("stale_seconds", default=0.0)


def begin() -> None:
    """Forget what was told of an earlier answer."""
    _seconds.set(0.0)


def tell(seconds: float) -> None:
    """Tell that the answer of this request rests on what was known so many seconds ago."""
    _seconds.set(seconds)


def header() -> dict[str, str]:
    """Return the header for the answer of this request; none where it is fresh."""
    seconds = _seconds.get()
    return {HEADER: str(math.ceil(seconds))} if seconds else {}
