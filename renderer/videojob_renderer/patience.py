"""Asks a storage that is away again, with growing pauses, for as long as the caller can wait."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from videojob_renderer.objects import StorageAway

_log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 15.0

_Answer = TypeVar("_Answer")


def patiently(call: Callable[[], _Answer], patience_seconds: float) -> _Answer:
    """Call until the storage answers; what else goes wrong goes up at once.

    Raises:
        StorageAway: it stayed away for so long.
    """
    deadline = time.monotonic() + patience_seconds
    longest_seconds = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return call()
        except StorageAway as error:
            # At random: many renderers are cut off at the same moment, and must not come back at the same moment.
            pause_seconds = longest_seconds * random.uniform(0.5, 1)
            if time.monotonic() + pause_seconds > deadline:
                raise
            _log.warning("S3 is away, trying on", extra={"error": str(error)})
        time.sleep(pause_seconds)
        longest_seconds = min(2 * longest_seconds, _LONGEST_PAUSE_SECONDS)
