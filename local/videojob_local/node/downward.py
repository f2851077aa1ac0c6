"""The downward API: fields of the Pod and resources of its containers as text.

https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from videojob_local.node.manifest import Manifest
from videojob_local.node.quantity import parse_quantity

_KEYED = re.compile(r"metadata\.(labels|annotations)(?:\['(.+)'\])?")


def field_value(pod: Manifest, path: str, address: str) -> str:
    """Return the value of a fieldRef; the addresses of node and Pod are the same."""
    if match := _KEYED.fullmatch(path):
        values = pod["metadata"].get(match[1], {})
        return str(values.get(match[2], "")) if match[2] else _lines(values)
    if path.startswith("status."):
        return address
    value: Any = pod
    for part in path.split("."):
        value = value.get(part, "")
    return str(value)


def resource_value(pod: Manifest, reference: Manifest, container: str | None, capacity: Mapping[str, str]) -> str:
    """Return the value of a resourceFieldRef, rounded up; a limit that is not set is the whole node.

    Args:
        pod: the Pod.
        reference: the resourceFieldRef.
        container: the container whose variable it is; volumes name theirs in the reference.
        capacity: of the node.
    """
    kind, _, name = reference["resource"].partition(".")
    wanted = reference.get("containerName", container)
    resources = next(c.get("resources", {}) for c in pod["spec"]["containers"] if c["name"] == wanted)
    value = resources.get(kind, {}).get(name) or (capacity.get(name, "0") if kind == "limits" else "0")
    divisor = parse_quantity(reference.get("divisor", "0")) or 1
    return str(math.ceil(parse_quantity(value) / divisor))


def _lines(values: Mapping[str, str]) -> str:
    return "\n".join(f"{key}={json.dumps(value)}" for key, value in sorted(values.items()))
