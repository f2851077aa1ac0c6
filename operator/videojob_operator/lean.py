"""What is kept of an object: what some decision reads. A whole Job or pod takes tens of KB of memory, times 10,000."""

from typing import Any

from videojob import environment
from videojob_operator.manifests import Kind, Manifest

_JOB_SPEC = ("suspend", "activeDeadlineSeconds")
_POD_SPEC = ("nodeName", "nodeSelector", "tolerations", "affinity")
_CONTAINER = ("name", "image", "resources")


def lean(kind: Kind, manifest: Manifest) -> Manifest:
    """Return the part of an object that is kept; a VideoJob is kept but for `managedFields`."""
    meta = {field: value for field, value in manifest["metadata"].items() if field != "managedFields"}
    kept = {**manifest, "metadata": meta}
    if kind is Kind.JOBS:
        containers = [_with_request(each) for each in manifest["spec"]["template"]["spec"]["containers"]]
        kept["spec"] = _only(manifest["spec"], _JOB_SPEC) | {"template": {"spec": {"containers": containers}}}
    elif kind is Kind.PODS:
        containers = [_only(each, _CONTAINER) for each in manifest["spec"]["containers"]]
        kept["spec"] = _only(manifest["spec"], _POD_SPEC) | {"containers": containers}
    return kept


def _with_request(container: dict[str, Any]) -> dict[str, Any]:
    """What a Job renders is read back from it, and nothing else of its container."""
    request = [each for each in container.get("env") or [] if each["name"] == environment.REQUEST]
    return _only(container, ("name",)) | {"env": request}


def _only(fields: dict[str, Any], wanted: tuple[str, ...]) -> dict[str, Any]:
    return {name: fields[name] for name in wanted if name in fields}
