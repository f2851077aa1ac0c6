"""Objects as the API server shows them, for the pure tests of the operator."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from videojob.catalogue import Catalogue
from videojob.request import VideoJobRequest
from videojob.resolve import resolve
from videojob_operator.job import build_job
from videojob_operator.observed import Observed
from videojob_operator.settings import Profile, Settings

Manifest = dict[str, Any]
GOLDEN = Path(__file__).resolve().parents[1] / "data/operator"
NOW = datetime(2025, 9, 14, 12, 10, 30, tzinfo=UTC)
UID, JOB_UID = "uid-of-videojob", "uid-of-job"
POD = "squirrel-abcde"

SETTINGS = Settings(
    catalogue=Catalogue.model_validate(
        {
            "defaultModel": "CogVideoX-2b",
            "models": {"CogVideoX-2b": {"family": "2b", "source": "zai-org/CogVideoX-2b", "sizes": ["720x480"]}},
        }
    ),
    profiles={
        "default": Profile(),
        "h100": Profile.model_validate(
            {
                "gpus": 2,
                "gpuProducts": ["NVIDIA-H100-80GB-HBM3"],
                "nodeSelector": {"pool": "render"},
                "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
                "resources": {"requests": {"cpu": "4"}, "limits": {"memory": "64Gi"}},
                "image": "registry.example.com/renderer:fast",
                "env": [{"name": "HF_HUB_OFFLINE", "value": "1"}],
                "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "models"}}],
                "volumeMounts": [{"name": "models", "mountPath": "/models", "readOnly": True}],
                "priorityClassName": "rendering",
                "speed": {"attention": "flash3", "compileCache": "/models/compiled", "cfgParallel": 2},
            }
        ),
    },
    namespaces=("studio",),
    renderer_image="videojob-renderer:1.2.3",
    renderer_service_account="videojob-renderer",
    storage_config_map="videojob-storage",
    storage_secret="videojob-storage",
)


def video_job(
    *,
    status: Manifest | None = None,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> Manifest:
    """Return a VideoJob as the API server shows it, defaults filled in."""
    defaults = {"profile": "default", "suspend": False, "cancel": False, "backoffLimit": 3}
    request = spec.pop("request", {"prompt": "A squirrel"})
    return {
        "apiVersion": "videojob.dev/v1alpha1",
        "kind": "VideoJob",
        "metadata": {
            "name": "squirrel",
            "namespace": "studio",
            "uid": UID,
            "generation": 1,
            "resourceVersion": "10",
            "creationTimestamp": "2025-09-14T12:00:00Z",
            **({"labels": labels} if labels else {}),
            **({"annotations": annotations} if annotations else {}),
        },
        "spec": {"request": request} | defaults | spec,
        **({"status": status} if status else {}),
    }


def built_job(manifest: Manifest) -> Manifest:
    """Return the Job that the operator builds for a VideoJob."""
    spec = manifest["spec"]
    resolved = resolve(VideoJobRequest.model_validate(spec["request"]), SETTINGS.catalogue)
    return build_job(manifest, resolved, SETTINGS.profiles[spec["profile"]], SETTINGS)


def job(*, owner: str = UID, suspend: bool = False, **conditions: str) -> Manifest:
    """Return the Job; `conditions` are its true ones with their reasons, such as Failed="DeadlineExceeded"."""
    made = built_job(video_job(suspend=suspend))
    return {
        "metadata": {
            **made["metadata"],
            "uid": JOB_UID,
            "resourceVersion": "11",
            "creationTimestamp": "2025-09-14T12:00:00Z",
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        "spec": {**made["spec"], "suspend": suspend},
        "status": {
            "conditions": [
                {"type": kind, "status": "True", "reason": reason, "message": f"{kind} because {reason}"}
                for kind, reason in conditions.items()
            ]
        },
    }


def pod(
    *,
    name: str = POD,
    phase: str = "Pending",
    node: str | None = "gpu-1",
    state: Manifest | None = None,
    conditions: list[Manifest] | None = None,
    message: str = "",
    created: str = "2025-09-14T12:00:01Z",
) -> Manifest:
    """Return a pod of the Job; `state` is the state of its container."""
    return {
        "metadata": {
            "name": name,
            "namespace": "studio",
            "uid": f"uid-of-{name}",
            "resourceVersion": "12",
            "creationTimestamp": created,
            "labels": {"videojob.dev/name": "squirrel", "videojob.dev/uid": UID},
            "ownerReferences": [{"uid": JOB_UID, "controller": True}],
        },
        "spec": {
            "containers": [{"name": "renderer", "image": "videojob-renderer:1.2.3"}],
            **({"nodeName": node} if node else {}),
        },
        "status": {
            "phase": phase,
            "message": message,
            "conditions": conditions or [],
            **({"startTime": "2025-09-14T12:00:02Z"} if node else {}),
            **({"containerStatuses": [{"name": "renderer", "state": state}]} if state else {}),
        },
    }


RUNNING: Manifest = {"running": {"startedAt": "2025-09-14T12:00:03Z"}}


def ended(code: int, message: str = "", reason: str = "Error") -> Manifest:
    """Return the state of a container that has ended."""
    return {
        "terminated": {
            "exitCode": code,
            "reason": "Completed" if code == 0 else reason,
            "message": message,
            "finishedAt": "2025-09-14T12:05:00Z",
        }
    }


def waiting_for(reason: str, message: str) -> Manifest:
    """Return the state of a container that waits."""
    return {"waiting": {"reason": reason, "message": message}}


def progress(stage: str, *, pod_name: str = POD) -> Manifest:
    """Return a status in which the renderer has reported progress."""
    written = {"stage": stage, "percent": 50, "podName": pod_name, "updatedTime": "2025-09-14T12:01:00Z"}
    return {"progress": written}


def recorded_video(*, uid: str = UID, pod_name: str = POD) -> Manifest:
    """Return a status in which the renderer has recorded its video."""
    return {"artifacts": {"video": {"uri": f"s3://videos/studio/{uid}/{pod_name}/video.mp4"}}}


def observed(video: Manifest | None = None, job: Manifest | None = None, *pods: Manifest) -> Observed:
    """Put objects together."""
    return Observed(video_job() if video is None else video, job, pods)


def assert_golden(name: str, manifest: Manifest) -> None:
    """Compare a whole manifest with its golden file; UPDATE_GOLDEN=1 writes the file anew."""
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(yaml.dump(manifest, Dumper=_NoAliases, sort_keys=False, width=120))
    assert manifest == yaml.safe_load(path.read_text())


class _NoAliases(yaml.SafeDumper):
    """Write what stands twice twice, as a reader of a manifest expects it."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the dumper's signature
        return True
