"""What a manifest is here: plain JSON values. Typed client models cost 40 times as much to read."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

Manifest = dict[str, Any]


class Kind(StrEnum):
    """The kinds of objects the operator watches, by the plurals that the API server uses."""

    VIDEO_JOBS = "videojobs"  # what users write
    JOBS = "jobs"  # one a VideoJob
    PODS = "pods"  # one an attempt


class Key(NamedTuple):
    """Names one VideoJob, and so its Job."""

    namespace: str
    name: str


def key_of(manifest: Manifest) -> Key:
    """Return the key of an object."""
    return Key(manifest["metadata"]["namespace"], manifest["metadata"]["name"])


def uid_of(manifest: Manifest) -> str:
    """Return the uid: two objects that bear one name, one after the other, differ in it."""
    uid: str = manifest["metadata"]["uid"]
    return uid


def controller_uid(manifest: Manifest) -> str | None:
    """Return the uid of the object's controller, None where it has none."""
    owners = manifest["metadata"].get("ownerReferences", [])
    return next((owner["uid"] for owner in owners if owner.get("controller")), None)


def is_deleting(manifest: Manifest) -> bool:
    """Tell whether the object waits for its deletion."""
    return "deletionTimestamp" in manifest["metadata"]


def condition_of(manifest: Manifest, kind: str) -> Manifest:
    """Return a condition of the object; empty where there is none."""
    return next(iter(_conditions(manifest, kind)), {})


def true_condition(manifest: Manifest, kind: str) -> Manifest | None:
    """Return a condition of the object if it is True."""
    return next((each for each in _conditions(manifest, kind) if each["status"] == "True"), None)


def _conditions(manifest: Manifest, kind: str) -> list[Manifest]:
    conditions: list[Manifest] = manifest.get("status", {}).get("conditions") or []
    return [each for each in conditions if each["type"] == kind]


def moment(text: str) -> datetime:
    """Read a timestamp of Kubernetes."""
    return datetime.fromisoformat(text)


def timestamp(when: datetime) -> str:
    """Write a moment as Kubernetes does."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
