"""Kubernetes objects as the node handles them: plain JSON, read where it is needed."""

from datetime import UTC, datetime
from typing import Any

Manifest = dict[str, Any]


def timestamp() -> str:
    """Return the time of now as Kubernetes writes it, in whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp() -> str:
    """Return the time of now as Leases and Events want it, with microseconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
