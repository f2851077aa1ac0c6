"""Build the Job of a VideoJob: one pod at a time, disruptions free of charge, fit for a restricted namespace."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from videojob import broker, environment, names, resource, tracing
from videojob.exits import ExitCode
from videojob.resolve import ResolvedRequest
from videojob.speed import SpeedOptions
from videojob.tracing import legal_traceparent
from videojob_operator.manifests import Manifest
from videojob_operator.settings import Profile, Settings

CONTAINER = "renderer"
GPU = "nvidia.com/gpu"
GPU_PRODUCT_LABEL = "nvidia.com/gpu.product"
KUEUE_PREFIX = "kueue.x-k8s.io/"
QUEUE_LABEL = f"{KUEUE_PREFIX}queue-name"
FAILURES_BEFORE = f"{resource.GROUP}/failures-before"
MAX_INTERRUPTIONS = f"{resource.GROUP}/max-interruptions"
"""Annotations of a Job: what its VideoJob's earlier Jobs have used up, and what the profile allowed."""

HOLDS = f"{resource.GROUP}/held"
"""Annotation of a Job: whether the operator holds it, for `spec.suspend`. Else it is for others to let it go on."""

JOB_TTL_SECONDS = 3600  # the truth is in the VideoJob; an hour leaves time to read the logs
GRACE_SECONDS = 120  # a denoising step and an upload fit in
USER = 65532
FINAL_EXIT_CODES = frozenset({ExitCode.INVALID_REQUEST, ExitCode.CONTENT_REFUSED})  # no other pod would change it
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
TOKEN_SECONDS = 3600
NODE_LOST_SECONDS = 60  # how long an unreachable node may keep its pod


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier Jobs of the same VideoJob leave behind.

    Attributes:
        failures: of their pods, counted against backoffLimit.
        avoided_nodes: where a GPU failed.
    """

    failures: int = 0
    avoided_nodes: tuple[str, ...] = ()


NO_PAST = Past()


def build_job(
    video_job: Manifest, resolved: ResolvedRequest, profile: Profile, settings: Settings, past: Past = NO_PAST
) -> Manifest:
    """Build the manifest.

    Args:
        video_job: the owner; the Job gets its name.
        resolved: the request with all defaults filled in.
        profile: the administrator's words about the pod.
        settings: image, service account and storage of the installation.
        past: of the VideoJob's earlier Jobs.
    """
    meta, spec = video_job["metadata"], video_job["spec"]
    labels = _labels(meta)
    job: Manifest = {
        "backoffLimit": max(0, spec["backoffLimit"] - past.failures),
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {"rules": _failure_rules()},
        "ttlSecondsAfterFinished": JOB_TTL_SECONDS,
        "template": {
            "metadata": {"labels": labels},
            "spec": _pod_spec(meta, resolved, profile, settings),
        },
    }
    pod: Manifest = job["template"]["spec"]
    if affinity := _affinity(profile, past.avoided_nodes):
        pod["affinity"] = affinity
    if spec.get("suspend"):
        job["suspend"] = True
    if "activeDeadlineSeconds" in spec:  # the Job's own deadline would count the wait for a GPU as well
        pod["activeDeadlineSeconds"] = spec["activeDeadlineSeconds"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "labels": labels,
            "annotations": {
                MAX_INTERRUPTIONS: str(profile.max_interruptions),
                **held(suspend=bool(spec.get("suspend"))),
                **({FAILURES_BEFORE: str(past.failures)} if past.failures else {}),
            },
            "ownerReferences": [_owner(meta)],
        },
        "spec": job,
    }


def request_of(job: Manifest) -> ResolvedRequest | None:
    """Read back what a Job renders; None where it was made by a version that wrote it otherwise."""
    (container, *_) = job["spec"]["template"]["spec"]["containers"]
    variables = {variable["name"]: variable.get("value", "") for variable in container.get("env", [])}
    try:
        return ResolvedRequest.model_validate_json(variables.get(environment.REQUEST, ""))
    except ValidationError:
        return None


def number_of(job: Manifest, annotation: str, default: int = 0) -> int:
    """Read a number that `build_job` wrote on a Job; the default where it is not there or was tampered with."""
    text = job["metadata"].get("annotations", {}).get(annotation, "")
    return int(text) if text.isdigit() else default


def held(*, suspend: bool) -> dict[str, str]:
    """Return the annotation that goes with a suspension by the operator, or with its end."""
    return {HOLDS: str(suspend).lower()}


def is_held(job: Manifest) -> bool:
    """Tell whether the operator has suspended a Job; one of a version that did not note it down counts as such."""
    noted: str | None = job["metadata"].get("annotations", {}).get(HOLDS)
    return bool(job["spec"].get("suspend")) and noted != "false"


def _labels(meta: Manifest) -> dict[str, str]:
    queueing = {key: value for key, value in meta.get("labels", {}).items() if key.startswith(KUEUE_PREFIX)}
    return {
        "app.kubernetes.io/name": "videojob-renderer",
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.NAME_LABEL: meta["name"],
        names.UID_LABEL: meta["uid"],
        **queueing,
    }


def _owner(meta: Manifest) -> Manifest:
    return {
        "apiVersion": resource.API_VERSION,
        "kind": resource.KIND,
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _failure_rules() -> list[Manifest]:
    def on_exit(action: str, *codes: ExitCode) -> Manifest:
        values = sorted(int(code) for code in codes)
        return {"action": action, "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": values}}

    return [  # the first that fits decides: what was refused in a pod that is being drained stays refused
        on_exit("FailJob", *FINAL_EXIT_CODES),
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        on_exit("Ignore", ExitCode.INTERRUPTED),
    ]


def _pod_spec(meta: Manifest, resolved: ResolvedRequest, profile: Profile, settings: Settings) -> Manifest:
    spec: Manifest = {
        "restartPolicy": "Never",
        "serviceAccountName": settings.renderer_service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "tolerations": [*map(dict, profile.tolerations), *_node_lost_tolerations()],
        "containers": [_container(meta, resolved, profile, settings)],
        "volumes": [*_volumes(settings), *map(dict, profile.volumes)],
    }
    if profile.node_selector:
        spec["nodeSelector"] = dict(profile.node_selector)
    if profile.priority_class_name:
        spec["priorityClassName"] = profile.priority_class_name
    if profile.runtime_class_name:
        spec["runtimeClassName"] = profile.runtime_class_name
    return spec


def _node_lost_tolerations() -> list[Manifest]:
    return [
        {
            "key": f"node.kubernetes.io/{state}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": NODE_LOST_SECONDS,
        }
        for state in ("not-ready", "unreachable")
    ]


def _affinity(profile: Profile, avoided_nodes: tuple[str, ...]) -> Manifest:
    """The profile's affinity, and ours in each of its node selector terms: the terms are alternatives."""
    affinity: Manifest = deepcopy(profile.affinity)
    labels = [{"key": GPU_PRODUCT_LABEL, "operator": "In", "values": list(profile.gpu_products)}]
    fields = [{"key": "metadata.name", "operator": "NotIn", "values": [name]} for name in avoided_nodes]
    ours = {"matchExpressions": labels if profile.gpu_products else [], "matchFields": fields}
    if any(ours.values()):
        required = affinity.setdefault("nodeAffinity", {}).setdefault(_REQUIRED, {})
        terms = required.get("nodeSelectorTerms") or [{}]
        required["nodeSelectorTerms"] = [
            {kind: rules for kind in ours if (rules := [*term.get(kind, []), *ours[kind]])} for term in terms
        ]
    return affinity


def _container(meta: Manifest, resolved: ResolvedRequest, profile: Profile, settings: Settings) -> Manifest:
    image = profile.image or settings.renderer_image
    return {
        "name": CONTAINER,
        "image": image,
        **({"imagePullPolicy": settings.renderer_pull_policy} if settings.renderer_pull_policy else {}),
        "env": _environment(meta, resolved, image, profile, settings),
        "envFrom": _storage(settings),
        "resources": _resources(profile),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePath": environment.TERMINATION_LOG_PATH,
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of this pod
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - likewise
            {"name": "token", "mountPath": environment.TOKEN_MOUNT_PATH, "readOnly": True},
            *map(dict, profile.volume_mounts),
        ],
    }


def _environment(
    meta: Manifest, resolved: ResolvedRequest, image: str, profile: Profile, settings: Settings
) -> list[Manifest]:
    """Our own variables, but for those that the profile sets, then the profile's."""
    values = {
        environment.NAME: meta["name"],
        environment.NAMESPACE: meta["namespace"],
        environment.UID: meta["uid"],
        # "$(" in a value would be expanded by the kubelet; in JSON a dollar sign can be written as an escape.
        environment.REQUEST: resolved.model_dump_json(by_alias=True, exclude_none=True).replace("$", "\\u0024"),
        environment.IMAGE: image,
        environment.TOKEN_DIR: environment.TOKEN_MOUNT_PATH,
        environment.TERMINATION_LOG: environment.TERMINATION_LOG_PATH,
        "TMPDIR": "/tmp",  # noqa: S108
        "HF_HOME": "/tmp/huggingface",  # noqa: S108
    }
    if profile.speed != SpeedOptions():
        values[environment.SPEED] = profile.speed.model_dump_json(by_alias=True, exclude_defaults=True)
    if profile.gpus:
        values[environment.GPUS] = str(profile.gpus)
    if settings.broker_url:
        values[environment.BROKER_URL] = settings.broker_url
    if traceparent := legal_traceparent((meta.get("annotations") or {}).get(tracing.ANNOTATION)):
        values[environment.TRACEPARENT] = traceparent
    pod_name = {"name": environment.POD_NAME, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    ours = [*({"name": name, "value": value} for name, value in values.items()), pod_name]
    theirs = [dict(variable) for variable in profile.env]
    chosen = {variable["name"] for variable in theirs}
    return [*(variable for variable in ours if variable["name"] not in chosen), *theirs]


def _storage(settings: Settings) -> list[Manifest]:
    """Return bucket and endpoint, and the keys where the API does not sign for the renderer."""
    sources: list[Manifest] = [{"configMapRef": {"name": settings.storage_config_map}}]
    if settings.storage_secret and not settings.broker_url:
        sources.append({"secretRef": {"name": settings.storage_secret}})
    return sources


def _resources(profile: Profile) -> Manifest:
    """Return the profile's resources; a null, which takes a default of the chart out, would be read as 0."""
    resources: dict[str, dict[str, Any]] = {
        kind: {name: quantity for name, quantity in values.items() if quantity is not None}
        for kind, values in profile.resources.items()
    }
    if profile.gpus:
        resources.setdefault("limits", {})[GPU] = str(profile.gpus)
    return resources


def _volumes(settings: Settings) -> list[Manifest]:
    tokens = [{"serviceAccountToken": {"path": "token", "expirationSeconds": TOKEN_SECONDS}}]
    if settings.broker_url:
        shown = {"audience": broker.AUDIENCE, "path": broker.TOKEN_FILE, "expirationSeconds": broker.TOKEN_SECONDS}
        tokens.append({"serviceAccountToken": shown})
    authority = {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
    return [
        {"name": "tmp", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory"}},
        {"name": "token", "projected": {"sources": [*tokens, authority]}},
    ]
