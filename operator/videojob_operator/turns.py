"""Whose turn it is when a quota has room again: the oldest VideoJob of the namespace that it refused a Job.

A refused one is tried again after a pause that doubles, up to minutes. Without this, one that is new would take the
room at once, and who has waited longest, and failed most often, would wait longest.
"""

from videojob_operator.manifests import Key


class Turns:
    """Who waits for room in a quota."""

    def __init__(self) -> None:
        self._waiting: dict[Key, str] = {}

    def wait(self, key: Key, created: str) -> None:
        """Take note that a VideoJob of this age was refused its Job."""
        self._waiting[key] = created

    def leave(self, key: Key) -> None:
        """Take note that a VideoJob is looked at, whatever comes of it."""
        self._waiting.pop(key, None)

    def take(self, namespace: str) -> Key | None:
        """Return the oldest that waits in a namespace, which waits no longer; None where none does."""
        ages = {key: created for key, created in self._waiting.items() if key.namespace == namespace}
        oldest = min(ages, key=lambda key: (ages[key], key.name), default=None)
        if oldest:
            self.leave(oldest)
        return oldest
