"""Probes, and Deployments that live by them."""

import socket
from pathlib import Path
from typing import Any

import pytest
from tests.local.node.rig import Manifest, Studio, condition, status

pytestmark = pytest.mark.cluster

SERVER = """
import http.server, os, signal, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if os.path.exists(sys.argv[2] + self.path) else 200)
        self.end_headers()
    def log_message(self, *_): pass
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
http.server.HTTPServer.allow_reuse_address = True
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def server(studio: Studio, folder: Path, **probes: Any) -> Manifest:
    """The spec of a Pod whose /healthz and /readyz are bad while files of these names are in the folder."""
    port = free_port()
    ready = {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1}
    container = {
        "image": "test-python",
        "args": ["-c", SERVER, str(port), str(folder)],
        "ports": [{"name": "http", "containerPort": port}],
        "readinessProbe": ready,
        **probes,
    }
    return {**studio.pod_spec("", **container), "restartPolicy": "Always"}


def test_a_pod_is_ready_while_its_readiness_probe_says_so(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "readyz").touch()
    pod = studio.pod("serves", server(studio, tmp_path))
    assert condition(studio.running(pod), "Ready") == "False"

    (tmp_path / "readyz").unlink()
    ready = studio.kube.wait(pod, lambda found: condition(found, "Ready") == "True")
    assert status(ready)["ready"]

    (tmp_path / "readyz").touch()
    unready = studio.kube.wait(pod, lambda found: condition(found, "Ready") == "False")
    assert status(unready)["restartCount"] == 0


def test_a_container_whose_liveness_probe_fails_is_restarted(studio: Studio, tmp_path: Path) -> None:
    alive = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1}
    pod = studio.pod("serves", server(studio, tmp_path, livenessProbe={**alive, "initialDelaySeconds": 2}))
    studio.kube.wait(pod, lambda found: condition(found, "Ready") == "True")

    (tmp_path / "healthz").touch()
    crashed = studio.waits_for(pod, "CrashLoopBackOff")
    (tmp_path / "healthz").unlink()

    assert "liveness probe failed: HTTP probe failed with statuscode: 503" in str(status(crashed)["lastState"])
    studio.kube.wait(pod, lambda found: condition(found, "Ready") == "True" and status(found)["restartCount"] == 1)


def test_a_deployment_rolls_to_a_new_version_that_becomes_ready(studio: Studio, tmp_path: Path) -> None:
    path = f"/apis/apps/v1/namespaces/{studio.namespace}/deployments"
    labels = {"app": "api"}
    template = {"metadata": {"labels": labels}, "spec": server(studio, tmp_path)}
    deployment = {"selector": {"matchLabels": labels}, "strategy": {"type": "Recreate"}, "template": template}
    studio.kube.request("POST", path, {"metadata": {"name": "api"}, "spec": {**deployment, "replicas": 1}})
    rollout = ("rollout", "status", "deployment/api", f"--namespace={studio.namespace}", "--timeout=50s")
    assert studio.kube.kubectl(*rollout).returncode == 0

    studio.kube.patch(f"{path}/api", {"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}})

    assert studio.kube.kubectl(*rollout).returncode == 0
    pods = [pod for pod in studio.kube.get(studio.pods)["items"] if "deletionTimestamp" not in pod["metadata"]]
    assert [pod["metadata"]["annotations"]["version"] for pod in pods] == ["2"]


def test_a_rolling_update_keeps_a_ready_pod_until_the_new_one_is(studio: Studio) -> None:
    """Both pods run side by side; they listen on no port."""
    path = f"/apis/apps/v1/namespaces/{studio.namespace}/deployments"
    labels = {"app": "api"}
    spec = {**studio.pod_spec("sleep 3600"), "restartPolicy": "Always"}
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    template = {"metadata": {"labels": labels}, "spec": spec}
    deployment = {"selector": {"matchLabels": labels}, "strategy": rolling, "replicas": 2, "template": template}
    studio.kube.request("POST", path, {"metadata": {"name": "api"}, "spec": deployment})
    rollout = ("rollout", "status", "deployment/api", f"--namespace={studio.namespace}", "--timeout=50s")
    assert studio.kube.kubectl(*rollout).returncode == 0
    broken = {"containers": [{**spec["containers"][0], "image": "unknown:2"}]}

    studio.kube.patch(f"{path}/api", {"spec": {"template": {"spec": broken}}})
    studio.kube.wait(f"{path}/api", lambda found: found["status"].get("unavailableReplicas") == 1)
    assert studio.kube.get(f"{path}/api")["status"]["availableReplicas"] == 2

    studio.kube.patch(f"{path}/api", {"spec": {"template": {"spec": {"containers": spec["containers"]}}}})
    assert studio.kube.kubectl(*rollout).returncode == 0
