"""What the end-to-end tests do on the real node: install the chart with the images, find processes, disturb pods."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
from cluster import Cluster, Kubectl, Manifest, admin_client, wait_for
from s3_client import s3_client

from videojob import environment
from videojob.names import checkpoint_key
from videojob_local import chart
from videojob_local.real_node.stack import RealStack

MODELS = "/models"
_EDITOR = "video"
_TAG = "e2e"


class RealCluster(Cluster):
    """A namespace of the real node, with the chart as on a cluster: images, a volume of weights, a Service."""

    @classmethod
    def open(cls, stack: RealStack, kubectl: Kubectl, namespace: str, models: Path) -> "RealCluster":
        """Make the namespace, a volume that shows the folder of models, and an account that may edit what is in it."""
        http = admin_client(stack.control_plane)
        kubectl.run("apply", "--filename=-", stdin=json.dumps(_preparations(namespace, models)))
        return cls(stack, http, kubectl, namespace)  # type: ignore[arg-type]

    def helm(self, *arguments: str, values: Manifest | None = None) -> str:
        """Run helm in the namespace."""
        stdin = json.dumps(values) if values else ""
        more = ["--values=-"] if values else []
        command = [*arguments, f"--namespace={self.namespace}", *more]
        return chart.run_helm(self.stack.binaries, self.stack.kubeconfig, command, stdin)

    def install(self, *overrides: str, **values: Any) -> None:
        """Install the chart, or upgrade it."""
        merged = self.values() | values
        sets = [f"--set={override}" for override in overrides]
        arguments = ["upgrade", chart.RELEASE, str(chart.CHART), "--install", "--wait", "--timeout=300s", *sets]
        self.helm(*arguments, values=merged)

    def values(self) -> Manifest:
        """Return the values of the installation: an H100 a job, weights from the volume, no key in the values."""
        storage = self.stack.s3.storage
        model = {"family": "2b", "source": f"{MODELS}/2b", "defaults": chart.TINY_DEFAULTS}
        volume = {"name": "models", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}}
        requests = {"cpu": "100m", "memory": "512Mi"}
        profile = {
            "gpus": 1,
            "gpuProducts": ["NVIDIA-H100-80GB-HBM3"],
            "env": [
                {"name": environment.CHECKPOINT_SECONDS, "value": "0"},
                {"name": "CUDA_VISIBLE_DEVICES", "value": "-1"},  # the H100 is pretended: render on the CPU
            ],
            "volumes": [volume],
            "volumeMounts": [{"name": "models", "mountPath": MODELS, "readOnly": True}],
            "resources": {
                "requests": requests | {"ephemeral-storage": None},
                "limits": {"memory": "3Gi", "ephemeral-storage": None},
            },
        }
        small = profile | {"resources": {"requests": {"memory": "200Mi"}, "limits": {"memory": "200Mi"}}}
        garbled = profile | {"env": [{"name": environment.REQUEST, "value": "{}"}]}
        return {
            "imageRegistry": "localhost",
            "defaultModel": "CogVideoX-tiny",
            "models": {"CogVideoX-tiny": model},
            "storage": {
                "bucket": storage.bucket,
                "endpoint": storage.endpoint,
                "region": storage.region,
                "existingSecret": "videojob-s3",
            },
            "profiles": {"default": profile, "small": small, "garbled": garbled},
            **{part: {"image": {"tag": _TAG}} for part in ("operator", "renderer")},
            "api": {"image": {"tag": _TAG}, "requestsPerMinute": 0},
        }

    def prepare_storage(self) -> None:
        """Put the keys of the S3 server into the Secret that the values name."""
        storage = self.stack.s3.storage
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "videojob-s3", "namespace": self.namespace},
            "stringData": {
                "AWS_ACCESS_KEY_ID": storage.access_key_id,
                "AWS_SECRET_ACCESS_KEY": storage.secret_access_key,
            },
        }
        self.kubectl.run("apply", "--filename=-", stdin=json.dumps(secret))

    def token(self) -> str:
        """Return a token of the account that may edit what is in the namespace."""
        return self.kubectl.run("create", "token", _EDITOR, "--duration=2h", f"--namespace={self.namespace}")

    def service_address(self, name: str) -> str:
        """Return the cluster's address of a Service with its first port."""
        path = "{.spec.clusterIP}:{.spec.ports[0].port}"
        return self.kubectl.run("get", "service", name, f"--namespace={self.namespace}", f"--output=jsonpath={path}")

    def wait_for_checkpoint(self, name: str) -> None:
        """Wait until a later pod of this VideoJob would go on where the last one was."""
        storage = self.stack.s3.storage
        key = checkpoint_key("", self.namespace, (self.get(name) or {})["metadata"]["uid"])
        with closing(s3_client(storage)) as s3:
            wait_for(
                lambda: "Contents" in s3.list_objects_v2(Bucket=storage.bucket, Prefix=key),
                f"a checkpoint of {name}",
                seconds=120,
            )

    def evict(self, pod: str) -> None:
        """Ask for the eviction of a pod, as a drain does."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": self.namespace},
        }
        url = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/eviction"
        self.http.post(url, json=body).raise_for_status()

    def renderer_process(self, uid: str) -> psutil.Process:
        """Return the process of the renderer in the pod of this uid, as the machine sees it."""
        wait_for(lambda: _renderers(uid), f"a renderer of pod {uid}", seconds=60)
        return _renderers(uid)[0]


def _renderers(uid: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "videojob_renderer" in command and uid in Path(f"/proc/{process.pid}/cgroup").read_text():
            found.append(process)
    return found


def _preparations(namespace: str, models: Path) -> Manifest:
    labels = {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    size = {"storage": "1Gi"}
    claim = {
        "accessModes": ["ReadOnlyMany"],
        "storageClassName": "",
        "volumeName": f"{namespace}-models",
        "resources": {"requests": size},
    }
    volume = {
        "capacity": size,
        "accessModes": ["ReadOnlyMany"],
        "hostPath": {"path": str(models), "type": "Directory"},
    }
    items = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}},
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"{namespace}-models"}, "spec": volume},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "models", "namespace": namespace},
            "spec": claim,
        },
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": _EDITOR, "namespace": namespace}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": _EDITOR, "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
            "subjects": [{"kind": "ServiceAccount", "name": _EDITOR, "namespace": namespace}],
        },
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}
