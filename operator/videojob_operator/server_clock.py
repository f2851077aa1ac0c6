"""The API server's clock, read from the Date header of its answers.

Deadlines compare a moment with timestamps that the API server wrote. Where this machine's clock is an hour off, a
deadline by the local clock would pass an hour early or late; by the server's own clock it does not.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

_RESOLUTION = timedelta(seconds=1)
"""The header has whole seconds, and an answer is under way for a while: less than this is no difference."""


_moment = lru_cache(maxsize=2)(parsedate_to_datetime)
"""Hundreds of answers bear the date of one second."""


class ServerClock:
    """Tells the API server's time; before its first answer, this machine's.

    Args:
        local: tells this machine's time, with its zone.
    """

    def __init__(self, local: Callable[[], datetime]) -> None:
        self._local = local
        self._offset = timedelta()

    def hear(self, date: str | None) -> None:
        """Take in the Date header of an answer; a missing or odd one tells nothing."""
        try:
            offset = _moment(date or "") - self._local()
        except (TypeError, ValueError):
            return
        if abs(offset - self._offset) > _RESOLUTION:
            self._offset = offset

    def now(self) -> datetime:
        """Return the time."""
        return self._local() + self._offset
