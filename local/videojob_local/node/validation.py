"""Refuses Pods that ask for what this node never has, in a sentence that says what.

Such a Pod stays Pending with the reason UnsupportedPod: a failed one would be replaced at once by its ReplicaSet, again
and again.
"""

from videojob_local.node.errors import UnsupportedPod
from videojob_local.node.manifest import Manifest

VOLUME_KINDS = ("emptyDir", "configMap", "secret", "downwardAPI", "projected", "hostPath")
SOURCE_KINDS = ("serviceAccountToken", "configMap", "secret", "downwardAPI")
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
_PROBE_KINDS = ("httpGet", "tcpSocket")


def refuse_unsupported(spec: Manifest) -> None:
    """Check the spec of a Pod.

    Raises:
        UnsupportedPod: this node cannot run it.
    """
    if len(spec["containers"]) > 1:
        raise UnsupportedPod("a process node runs one container a Pod")
    for init in spec.get("initContainers", []):
        if init.get("restartPolicy"):
            raise UnsupportedPod(f"init container {init['name']}: a process node has no sidecars")
    for container in spec["containers"]:
        _check_container(container)
    for volume in spec.get("volumes", []):
        _check_volume(volume)


def _check_container(container: Manifest) -> None:
    name, hooks = container["name"], container.get("lifecycle", {})
    for mount in container.get("volumeMounts", []):
        if "subPathExpr" in mount:
            raise UnsupportedPod(f"container {name}: a process node knows no subPathExpr")
    for probe in PROBES:
        if probe in container:
            _check_probe(f"container {name}: {probe}", container[probe], container.get("ports", []))
    if "postStart" in hooks or ("preStop" in hooks and "sleep" not in hooks["preStop"]):
        raise UnsupportedPod(f"container {name}: lifecycle: a process node knows preStop.sleep only")


def _check_probe(where: str, probe: Manifest, ports: list[Manifest]) -> None:
    action = next((probe[kind] for kind in _PROBE_KINDS if kind in probe), None)
    if action is None:
        raise UnsupportedPod(f"{where}: a process node knows {' and '.join(_PROBE_KINDS)} only")
    if isinstance(action["port"], str) and action["port"] not in {port.get("name") for port in ports}:
        raise UnsupportedPod(f"{where}: the container has no port of the name {action['port']}")


def _check_volume(volume: Manifest) -> None:
    name = volume["name"]
    if not any(kind in volume for kind in VOLUME_KINDS):
        raise UnsupportedPod(f"volume {name}: a process node knows {', '.join(VOLUME_KINDS)} only")
    for source in volume.get("projected", {}).get("sources", []):
        if not any(kind in source for kind in SOURCE_KINDS):
            raise UnsupportedPod(f"volume {name}: a process node projects {', '.join(SOURCE_KINDS)} only")
