"""What the tests of the running node use: an administrator's client, nodes of their own, a namespace's Pods."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from videojob_local.stack import Stack

Manifest = dict[str, Any]

IMAGES = {"test-sh*": ["/bin/sh"], "test-python*": [sys.executable]}
DEADLINE_SECONDS = 60
TAINT = {"key": "videojob.dev/test-node", "effect": "NoSchedule"}
"""Keeps the Pods of other tests away: these nodes know none of their images."""


class Kube:
    """The administrator's client; waits for conditions with a deadline."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._http = httpx.Client(
            base_url=stack.control_plane.server, verify=self.administrators_tls(), trust_env=False, timeout=30
        )

    def administrators_tls(self) -> ssl.SSLContext:
        pair = self.stack.control_plane.admin_credentials()
        tls = ssl.create_default_context(cafile=self.stack.control_plane.ca)
        tls.load_cert_chain(pair.cert, pair.key)
        return tls

    def close(self) -> None:
        self._http.close()

    def request(self, method: str, path: str, body: Manifest | None = None, **headers: str) -> Manifest:
        answer = self._http.request(method, path, json=body, headers=headers)
        assert answer.status_code < 400, answer.text
        found: Manifest = answer.json()
        return found

    def get(self, path: str) -> Manifest:
        return self.request("GET", path)

    def exists(self, path: str) -> bool:
        return self._http.get(path).status_code != 404

    def delete(self, path: str, **options: Any) -> None:
        self.request("DELETE", path, {"kind": "DeleteOptions", "apiVersion": "v1", **options})

    def patch(self, path: str, body: Manifest) -> None:
        """Merge a change into an object."""
        self.request("PATCH", path, body, **{"Content-Type": "application/merge-patch+json"})

    def wait(self, path: str, condition: Callable[[Manifest], Any]) -> Manifest:
        """Return the object once it meets a condition."""
        until = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < until:
            found = self.get(path)
            if condition(found):
                return found
            time.sleep(0.05)
        raise AssertionError(f"{path} does not get there; last: {json.dumps(found.get('status', found), indent=1)}")

    def wait_gone(self, path: str) -> None:
        """Return once the object is not there any more."""
        wait_until(lambda: not self.exists(path), f"{path} is still there")

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator."""
        return subprocess.run(
            self._kubectl(arguments), capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
        )

    def kubectl_process(self, *arguments: str) -> subprocess.Popen[str]:
        """Start kubectl as the administrator, to read its output while it runs."""
        return subprocess.Popen(self._kubectl(arguments), stdout=subprocess.PIPE, text=True)

    def _kubectl(self, arguments: tuple[str, ...]) -> list[str]:
        return [str(self.stack.binaries["kubectl"]), f"--kubeconfig={self.stack.kubeconfig}", *arguments]


@dataclass
class Node:
    """A process node of its own."""

    kube: Kube
    name: str
    folder: Path
    port: int
    gpus: int = 2
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def path(self) -> str:
        return f"/api/v1/nodes/{self.name}"

    @property
    def log(self) -> str:
        return (self.folder / "node.log").read_text()

    def command(self) -> list[str]:
        """Return the agent's command line."""
        self.folder.mkdir(exist_ok=True, parents=True)
        control_plane = self.kube.stack.control_plane
        pair = control_plane.node_credentials(self.name)
        options = {
            "server": control_plane.server,
            "ca": control_plane.ca,
            "cert": pair.cert,
            "key": pair.key,
            "name": self.name,
            "state": self.folder / "state",
            "images": json.dumps(IMAGES),
            "port": self.port,
            "gpus": self.gpus,
            "cpus": 8,
        }
        flags = [f"--{flag}={value}" for flag, value in options.items()]
        return [sys.executable, "-m", "videojob_local.node", *flags, *self.options]

    def start(self) -> None:
        """Start the agent and wait until its node is Ready."""
        argv = self.command()
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
        with (self.folder / "node.log").open("ab") as log:
            self.process = subprocess.Popen(
                argv,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        until = time.monotonic() + DEADLINE_SECONDS
        while not self.kube.exists(self.path):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < until, self.log
            time.sleep(0.05)
        self.kube.wait(self.path, lambda node: self.ready(node) and self._taints(node) <= {TAINT["key"]})
        self.kube.patch(self.path, {"spec": {"taints": [TAINT]}})

    @staticmethod
    def _taints(node: Manifest) -> set[str]:
        return {taint["key"] for taint in node["spec"].get("taints", [])}

    @staticmethod
    def ready(node: Manifest) -> bool:
        conditions = node.get("status", {}).get("conditions", [])
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    def signal(self, number: signal.Signals) -> int:
        """Send a signal to the agent and wait for its end."""
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_SECONDS)

    def stop(self) -> None:
        """End the agent, its Pods at once, and remove the Node."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)  # the second one cuts the grace periods short
            self.process.wait(DEADLINE_SECONDS)
        if self.kube.exists(self.path):
            self.kube.delete(self.path)


@dataclass(frozen=True)
class Studio:
    """A namespace, and a node that all its Pods run on."""

    kube: Kube
    node: Node
    namespace: str

    @property
    def pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    @property
    def jobs(self) -> str:
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    def pod_spec(self, script: str, **container: Any) -> Manifest:
        """Return the spec of a Pod that runs a shell script."""
        main = {"name": "main", "image": "test-sh", "args": ["-c", script], **container}
        return {
            "restartPolicy": "Never",
            "tolerations": [{"key": TAINT["key"], "operator": "Exists"}],
            "nodeSelector": {"kubernetes.io/hostname": self.node.name},
            "containers": [main],
        }

    def pod(self, name: str, spec: Manifest, **metadata: Any) -> str:
        """Create a Pod; returns its path."""
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": spec}
        self.kube.request("POST", self.pods, body)
        return f"{self.pods}/{name}"

    def job(self, name: str, spec: Manifest, **job: Any) -> str:
        """Create a Job; returns its path."""
        body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}}
        self.kube.request("POST", self.jobs, {**body, "spec": {"template": {"spec": spec}, **job}})
        return f"{self.jobs}/{name}"

    def make(self, kind: str, name: str, **body: Any) -> None:
        """Create a `configmaps` or `secrets` object."""
        self.kube.request("POST", f"/api/v1/namespaces/{self.namespace}/{kind}", {"metadata": {"name": name}, **body})

    def ended(self, pod: str) -> Manifest:
        """Wait for the end of a Pod; returns it."""
        return self.kube.wait(pod, lambda found: found["status"]["phase"] in ("Succeeded", "Failed"))

    def output(self, pod: str) -> str:
        """Return what a Pod wrote."""
        return self.kube.kubectl("logs", f"--namespace={self.namespace}", pod.rpartition("/")[2]).stdout

    def waits_for(self, pod: str, reason: str) -> Manifest:
        """Wait until the container waits for a reason; returns the Pod."""
        return self.kube.wait(pod, lambda found: state(found).get("waiting", {}).get("reason") == reason)

    def running(self, pod: str) -> Manifest:
        """Wait until the container runs; returns the Pod."""
        return self.kube.wait(pod, lambda found: "running" in state(found))

    def said(self, pod: str, text: str) -> None:
        """Wait until the container has written a text."""
        wait_until(lambda: text in self.output(pod), f"{pod} has not said {text!r}")


def wait_until(condition: Callable[[], bool], sentence: str) -> None:
    """Wait for a condition outside the API server."""
    until = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < until, sentence
        time.sleep(0.05)


def process_ended(pid: int) -> bool:
    """Tell whether a process is gone, or an orphan that only waits to be reaped."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return not found.stdout.strip() or found.stdout.startswith("Z")


def pid(pod: Manifest) -> int:
    """Return the process id of the Pod's container."""
    return int(status(pod)["containerID"].removeprefix("process://"))


def status(pod: Manifest) -> Manifest:
    """Return the status of the Pod's container."""
    found: Manifest = pod["status"].get("containerStatuses", [{}])[0]
    return found


def state(pod: Manifest) -> Manifest:
    """Return the state of the Pod's container."""
    found: Manifest = status(pod).get("state", {})
    return found


def condition(pod: Manifest, kind: str) -> str:
    """Return the status of one of the Pod's conditions, `Unknown` where it is missing."""
    return next((str(c["status"]) for c in pod["status"].get("conditions", []) if c["type"] == kind), "Unknown")
