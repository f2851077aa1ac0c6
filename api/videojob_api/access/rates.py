"""How often a caller may call: a bucket for each that holds a minute's worth and fills up steadily.

Each replica counts for itself; a limit for all of them together would need a store that they share.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from videojob_api.access.callers import Caller
from videojob_api.errors import RateLimited

CALLERS_KEPT = 10_000


class Rates:
    """The buckets."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def count(self, caller: Caller) -> None:
        """Take one call out of the caller's bucket.

        Raises:
            RateLimited: it is empty; told is when it will not be.
        """
        limit = caller.requests_per_minute
        if not limit:
            return
        now = self._clock()
        left, at = self._buckets.get(caller.name, (float(limit), now))
        left = min(float(limit), left + (now - at) * limit / 60)
        if left < 1:
            raise RateLimited(limit, math.ceil((1 - left) * 60 / limit))
        self._buckets[caller.name] = left - 1, now
        self._buckets.move_to_end(caller.name)
        if len(self._buckets) > CALLERS_KEPT:
            self._buckets.popitem(last=False)
