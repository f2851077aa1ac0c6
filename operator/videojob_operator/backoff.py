"""Pauses between tries that never end: an outage of any length must not end the operator."""

import random
from collections.abc import Iterator


class EndlessBackoff:
    """0.5, 1, 2, 4, 8, 10, 10, … seconds with jitter.

    Kopf's own list of pauses ends after a minute of 503, and the process with it.

    A class, because a generator would be used up by the first request.
    """

    def __iter__(self) -> Iterator[float]:
        seconds = 0.5
        while True:
            yield seconds * random.uniform(0.8, 1.2)
            seconds = min(10.0, seconds * 2)
