"""Wait for a condition with a deadline."""

import time
from collections.abc import Callable

from videojob_local.errors import PartFailed

POLL_SECONDS = 0.1


def wait_until(
    condition: Callable[[], bool], what: str, *, seconds: float, check: Callable[[], None] | None = None
) -> None:
    """Return when the condition holds.

    Args:
        condition: asked again and again.
        what: ends the sentence "… did not happen".
        seconds: the deadline.
        check: called between two questions; raises where waiting on is pointless.

    Raises:
        PartFailed: the deadline passed.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if check:
            check()
        if time.monotonic() > deadline:
            raise PartFailed(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(POLL_SECONDS)
