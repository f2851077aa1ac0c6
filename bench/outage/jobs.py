"""What is under way when the API server goes: one job of each kind, as orders of the REST API."""

from dataclasses import dataclass
from typing import Any

from bench.chaos.plan import Order, Request

WAITING = 3
_LONG_STEPS = 200
_LONG_SIZE = (("num_frames", 49), ("width", 192), ("height", 128))


@dataclass(frozen=True, slots=True)
class Kind:
    """One job, and what must have become of it in the end.

    Attributes:
        name: of its kind.
        request: what it renders.
        size: over the quickest one.
        attempts: how many pods it has needed.
        has_webhook: whether somebody must be told of its end.
    """

    name: str
    request: Request
    size: tuple[tuple[str, int], ...] = ()
    attempts: int = 1
    has_webhook: bool = False

    def body(self, webhook: str) -> dict[str, Any]:
        """Return the body of POST /generate."""
        told = {"webhook": {"url": webhook}} if self.has_webhook else {}
        return self.request.body() | dict(self.size) | told

    @property
    def order(self) -> Order:
        """The order, as the verdict of chaos knows it."""
        return Order(self.request, "keep", 0.0)


_LONG = Request("a panda with a guitar", 11, _LONG_STEPS)
DONE = Kind("done", Request("a squirrel on a skateboard", 5, 2), has_webhook=True)
ENDS = Kind("ends", _LONG, _LONG_SIZE, has_webhook=True)
"""Renders on when the API server is gone, to its end."""

DIES = Kind("dies", _LONG, _LONG_SIZE, attempts=2)
"""The same request; its renderer is killed when the API server is gone, so the next one goes on from its checkpoint."""

QUEUE = [Kind(f"waits-{number}", Request("a squirrel that waits", number, 2)) for number in range(WAITING)]
"""For these there is no GPU while the two long ones have theirs."""

ALL = [DONE, ENDS, DIES, *QUEUE]
