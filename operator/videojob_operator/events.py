"""Kubernetes Events about a VideoJob, for `kubectl describe`. One a change of phase, never with a prompt."""

from datetime import datetime

from videojob import resource
from videojob.phases import Phase
from videojob_operator.manifests import Manifest, timestamp

_REPORTER = "videojob-operator"


def phase_event(video_job: Manifest, now: datetime) -> Manifest:
    """Build the Event of a phase change.

    Args:
        video_job: with the status it is about.
        now: its time.
    """
    meta, status = video_job["metadata"], video_job["status"]
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
        "type": "Warning" if status["phase"] == Phase.FAILED else "Normal",
        "reason": status["reason"],
        "message": f"{status['phase']}: {status['message']}"[:1024],
        "firstTimestamp": timestamp(now),
        "lastTimestamp": timestamp(now),
        "count": 1,
        "source": {"component": _REPORTER},
        "reportingComponent": _REPORTER,
    }
