"""The status of a Pod as the kubelet would write it: pure functions of what the node knows.

The conditions of others (PodScheduled, and DisruptionTarget of an eviction) are not written here; the patch is merged
by condition type.
"""

from collections.abc import Mapping

from videojob_local.node.manifest import Manifest
from videojob_local.node.pod_run import ContainerRecord, Ending

TERMINAL_PHASES = ("Succeeded", "Failed")
_EXIT_UNKNOWN = 137


def container_status(container: Manifest, record: ContainerRecord) -> Manifest:
    """Return one entry of containerStatuses."""
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": f"process://{container['image']}" if record.container_id else "",
        "containerID": record.container_id,
        "ready": record.ready,
        "started": record.started,
        "restartCount": record.restart_count,
        "state": record.state,
        "lastState": record.last_state,
    }


def ended_unseen(ending: Ending | None, started_at: str, now: str) -> Manifest:
    """Return the state of a container whose end nobody saw, or which never began."""
    return {
        "terminated": {
            "exitCode": _EXIT_UNKNOWN,
            "reason": "ContainerStatusUnknown",
            "message": ending.message if ending else "never started",
            "startedAt": started_at,
            "finishedAt": now,
        }
    }


def updated_conditions(
    known: Mapping[str, tuple[bool, str]], wanted: Mapping[str, bool], now: str
) -> dict[str, tuple[bool, str]]:
    """Return value and time of last change by condition type."""
    changed = {kind: (value, now) for kind, value in wanted.items() if known.get(kind, (None, ""))[0] != value}
    return {**known, **changed}


def wanted_conditions(main: Manifest, inits: list[Manifest], ending: Ending | None) -> dict[str, bool]:
    """Return the values of the conditions from the entries of containerStatuses."""
    initialized = all(init["state"].get("terminated", {}).get("exitCode") == 0 for init in inits)
    disrupted = {"DisruptionTarget": True} if ending and ending.disruption else {}
    return {"Initialized": initialized, "Ready": main["ready"], "ContainersReady": main["ready"], **disrupted}


def condition_list(
    conditions: Mapping[str, tuple[bool, str]], phase: str, ending: Ending | None, generation: int | None
) -> list[Manifest]:
    """Return status.conditions."""
    unready = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase, "ContainersNotReady")
    items = []
    for kind, (value, changed) in conditions.items():
        item = {"type": kind, "status": str(value), "lastTransitionTime": changed, "observedGeneration": generation}
        if kind == "DisruptionTarget":
            item |= {"reason": "TerminationByKubelet", "message": ending.message if ending else ""}
        elif not value:
            item |= {"reason": unready if kind != "Initialized" else "ContainersNotInitialized"}
        items.append(item)
    return items
