"""Kubernetes Events about a VideoJob, for `kubectl describe`. One a change of phase, never with a prompt."""

from datetime import datetime
from typing import Any

from videojob import resource
from videojob.phases import Phase
from videojob_operator.manifests import Manifest, timestamp

_REPORTER = "videojob-operator"


def phase_event(video_job: Manifest, said: dict[str, Any], now: datetime) -> Manifest:
    """Build the Event of a phase change.

    Args:
        video_job: the object it is about.
        said: phase, reason and message of the status.
        now: its time.
    """
    meta = video_job["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{meta['name']}.", "namespace": meta["namespace"]},
        "involvedObject": {
            "apiVersion": resource.API_VERSION,
            "kind": resource.KIND,
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
        },
        "type": "Warning" if said["phase"] == Phase.FAILED else "Normal",
        "reason": said["reason"],
        "message": f"{said['phase']}: {said['message']}"[:1024],
        "firstTimestamp": timestamp(now),
        "lastTimestamp": timestamp(now),
        "count": 1,
        "source": {"component": _REPORTER},
        "reportingComponent": _REPORTER,
    }
