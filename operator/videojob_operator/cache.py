"""The newest known version of each object, from watch events and from the answers to own writes alike.

Without the answers to own writes, 1,000 jobs cost 2,000 status patches: a worker looks again before its own write
comes back through the watch. When it does come back it is no news: who wrote has looked again already.

An object is dropped by its uid, never by its name alone: the end of an old object and the birth of its namesake reach
us in any order.
"""

from collections.abc import Collection

from videojob.names import NAME_LABEL
from videojob.phases import Phase
from videojob_operator.lean import lean
from videojob_operator.manifests import Key, Kind, Manifest, key_of, uid_of
from videojob_operator.observed import Observed


class Cache:
    """VideoJobs, Jobs and pods, each found by the key of its VideoJob."""

    def __init__(self) -> None:
        self._objects: dict[Kind, dict[Key, dict[str, Manifest]]] = {kind: {} for kind in Kind}

    def observe(self, key: Key) -> Observed:
        """Return what is known of one VideoJob."""
        pods = self._objects[Kind.PODS].get(key, {})
        return Observed(self.get(Kind.VIDEO_JOBS, key), self.get(Kind.JOBS, key), tuple(pods.values()))

    def get(self, kind: Kind, key: Key) -> Manifest | None:
        """Return the VideoJob or the Job of this key."""
        return self._objects[kind].get(key, {}).get(key.name)

    def video_job_keys(self) -> Collection[Key]:
        """Return the keys of all VideoJobs."""
        return self._objects[Kind.VIDEO_JOBS].keys()

    def phases(self) -> list[str]:
        """Return the phase of every VideoJob. Safe to call from another thread: lists of dicts are made at once."""
        objects = [found for named in list(self._objects[Kind.VIDEO_JOBS].values()) for found in list(named.values())]
        return [found.get("status", {}).get("phase", Phase.PENDING.value) for found in objects]

    def absorb(self, kind: Kind, manifest: Manifest) -> Key | None:
        """Take in an object, unless this version of it or a newer one is known.

        Returns:
            The key of the VideoJob concerned; None where this is no news, such as the echo of an own write, and for a
            pod whose label names no VideoJob.
        """
        key = _video_job_key(kind, manifest)
        if not key:
            return None
        objects = self._objects[kind].setdefault(key, {})
        name = manifest["metadata"]["name"]
        if name in objects and _version(manifest) <= _version(objects[name]):
            return None
        objects[name] = lean(kind, manifest)
        return key

    def forget(self, kind: Kind, manifest: Manifest) -> Key | None:
        """Drop a deleted object, and only this one: what bears its name by now stays.

        Returns:
            The key of the VideoJob concerned.
        """
        key = _video_job_key(kind, manifest)
        objects = self._objects[kind].get(key, {}) if key else {}
        known = objects.get(manifest["metadata"]["name"])
        if key and known and uid_of(known) == uid_of(manifest):
            del objects[manifest["metadata"]["name"]]
            if not objects:
                del self._objects[kind][key]
        return key

    def drop_ghosts(self, kind: Kind, namespace: str, listed: list[Manifest], version: int) -> set[Key]:
        """Drop what a full list does not hold: a watch that broke may have missed its deletion.

        Args:
            kind: of the list.
            namespace: whose list it is.
            listed: the full list.
            version: resourceVersion of the list; an object newer than it was made after it and is kept.

        Returns:
            The keys of the VideoJobs concerned.
        """
        present = {uid_of(manifest) for manifest in listed}
        ghosts = [
            manifest
            for key, objects in self._objects[kind].items()
            for manifest in objects.values()
            if key.namespace == namespace and uid_of(manifest) not in present and _version(manifest) <= version
        ]
        return {key for ghost in ghosts if (key := self.forget(kind, ghost))}


def _video_job_key(kind: Kind, manifest: Manifest) -> Key | None:
    """A Job has the name of its VideoJob; a pod bears it as a label."""
    if kind is not Kind.PODS:
        return key_of(manifest)
    name = manifest["metadata"].get("labels", {}).get(NAME_LABEL)
    return Key(manifest["metadata"]["namespace"], name) if name else None


def _version(manifest: Manifest) -> int:
    return int(manifest["metadata"]["resourceVersion"])
