"""From the nearest value that one rule offers to one that no rule refuses: pure."""

from collections.abc import Callable
from typing import Any, Protocol

_TRIES = 4


class Refusal(Protocol):
    """Says what was wrong with a value."""

    @property
    def nearest(self) -> Any:
        """The nearest value that the broken rule allows, None where it knows none."""


def settle(nearest: Any, refusal_of: Callable[[Any], Refusal | None]) -> Any:
    """Follow the nearest values of one rule after another until none refuses.

    Args:
        nearest: the first of them.
        refusal_of: what is still wrong with the field if it has this value; None = nothing.

    Returns:
        The value that is left, None where they lead nowhere.
    """
    for _ in range(_TRIES):
        if nearest is None:
            return None
        refusal = refusal_of(nearest)
        if refusal is None:
            return nearest
        nearest = refusal.nearest
    return None
