"""What tests do on the real cluster: install the chart, create a VideoJob, wait for its phase."""

import json
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from videojob import resource
from videojob_local import chart
from videojob_local.binaries import Binaries
from videojob_local.control_plane import ControlPlane, write_kubeconfig
from videojob_local.ports import free_port
from videojob_local.stack import Stack
from videojob_local.tiny_models import ensure_tiny_models

Manifest = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


def admin_client(control_plane: ControlPlane) -> httpx.Client:
    """Make an HTTP client of the API server with the administrator's rights, which the caller closes."""
    pair = control_plane.admin_credentials()
    tls = ssl.create_default_context(cafile=control_plane.ca)
    tls.load_cert_chain(pair.cert, pair.key)
    return httpx.Client(base_url=control_plane.server, verify=tls, timeout=30)


class Kubectl:
    """kubectl with one kubeconfig."""

    def __init__(self, binaries: Binaries, kubeconfig: Path) -> None:
        self.program = str(binaries["kubectl"])
        self.kubeconfig = kubeconfig

    def __call__(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl from the root of the repository, whatever comes of it."""
        return subprocess.run(
            [self.program, f"--kubeconfig={self.kubeconfig}", *arguments],
            cwd=ROOT,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl, which must succeed, and return what it prints."""
        result = self(*arguments, stdin=stdin)
        assert result.returncode == 0, result.stderr
        return result.stdout


class Cluster:
    """One namespace of the test stack."""

    def __init__(self, stack: Stack, http: httpx.Client, kubectl: Kubectl, namespace: str) -> None:
        self.stack = stack
        self.http = http
        self.kubectl = kubectl
        self.namespace = namespace
        self.api_port = 0
        self._installed = False

    @property
    def api_url(self) -> str:
        """URL of the REST API that `install` made ready."""
        return f"http://127.0.0.1:{self.api_port}"

    def install(self, *overrides: str, wait: bool = True, **values: Any) -> None:
        """Install the chart into the namespace; `overrides` as for `helm --set`, `values` over the local ones."""
        self.api_port = self.api_port or free_port()
        merged = chart.local_values(
            self.stack.s3.storage,
            api_port=self.api_port,
            tiny_models=ensure_tiny_models(),
            default_model=chart.tiny_name("2b"),
        )
        for key, value in values.items():
            merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
        chart.install(
            self.stack.binaries,
            self.stack.kubeconfig,
            self.namespace,
            merged,
            "crds.enabled=false",
            *overrides,
            wait=wait,
        )
        self._installed = True

    def close(self) -> None:
        """Uninstall the chart, so that its pods end before the next test."""
        if self._installed:
            chart.uninstall(self.stack.binaries, self.stack.kubeconfig, self.namespace)

    def service_account_kubeconfig(self, account: str, path: Path) -> Path:
        """Write a kubeconfig with a token of a service account of this namespace."""
        url = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{account}/token"
        answer = self.http.post(url, json={"spec": {"expirationSeconds": 3600}})
        deadline = time.monotonic() + 10
        while (
            answer.status_code == 404 and time.monotonic() < deadline
        ):  # the account of a fresh namespace is on its way
            time.sleep(0.1)
            answer = self.http.post(url, json={"spec": {"expirationSeconds": 3600}})
        answer.raise_for_status()
        token = path.with_suffix(".token")
        token.write_text(answer.json()["status"]["token"])
        user = {"tokenFile": str(token)}
        control_plane = self.stack.control_plane
        write_kubeconfig(path, control_plane.server, control_plane.ca, user, self.namespace)
        return path

    def url(self, name: str = "", plural: str = resource.PLURAL, group: str = f"apis/{resource.API_VERSION}") -> str:
        """Return the URL of the VideoJobs (or another kind) of the namespace."""
        return f"/{group}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def create(self, name: str, *, spec: Manifest | None = None, **request: Any) -> Manifest:
        """Create a VideoJob; `request` goes into spec.request, over the quickest render there is."""
        quickest = {"prompt": "a squirrel", "numFrames": 9, "width": 64, "height": 64, "steps": 2, "seed": 1}
        manifest = {
            "apiVersion": resource.API_VERSION,
            "kind": resource.KIND,
            "metadata": {"name": name},
            "spec": {"request": quickest | request} | (spec or {}),
        }
        answer = self.http.post(self.url(), json=manifest)
        assert answer.status_code == 201, answer.text
        created: Manifest = answer.json()
        return created

    def get(self, name: str) -> Manifest | None:
        """Return a VideoJob, or None where there is none."""
        return self._read(self.url(name))

    def all(self) -> list[Manifest]:
        """Return all VideoJobs of the namespace."""
        return (self._read(self.url()) or {})["items"]  # type: ignore[no-any-return]

    def job(self, name: str) -> Manifest | None:
        """Return a Job."""
        return self._read(self.url(name, "jobs", "apis/batch/v1"))

    def pods(self, name: str) -> list[Manifest]:
        """Return the pods of a Job, oldest first."""
        url = self.url(plural="pods", group="api/v1")
        answer = self.http.get(url, params={"labelSelector": f"batch.kubernetes.io/job-name={name}"})
        answer.raise_for_status()
        items: list[Manifest] = answer.json()["items"]
        return sorted(items, key=lambda pod: pod["metadata"]["creationTimestamp"])

    def patch(self, name: str, change: Manifest, subresource: str = "") -> Manifest:
        """Merge a change into a VideoJob."""
        answer = self.http.patch(self.url(name) + subresource, json=change, headers=MERGE_PATCH)
        assert answer.status_code == 200, answer.text
        patched: Manifest = answer.json()
        return patched

    def delete(self, name: str, plural: str = resource.PLURAL, group: str = f"apis/{resource.API_VERSION}") -> None:
        """Delete an object of the namespace, its dependents in the background."""
        self.http.delete(self.url(name, plural, group), params={"propagationPolicy": "Background"}).raise_for_status()

    def wait_for_phase(self, name: str, *phases: str, seconds: float = 60) -> Manifest:
        """Wait until a VideoJob is in one of the phases and return it; fail at once when it ends in another one."""
        ended = {"Succeeded", "Failed", "Cancelled"} - set(phases)

        def status() -> Manifest:
            return (self.get(name) or {}).get("status", {})

        deadline = time.monotonic() + seconds
        while (now := status()).get("phase") not in phases:
            assert now.get("phase") not in ended, f"{name} ended: {json.dumps(now)}"
            assert time.monotonic() < deadline, f"{name} is not {'/'.join(phases)} after {seconds} s: {json.dumps(now)}"
            time.sleep(0.1)
        found = self.get(name)
        assert found
        return found

    def wait_for_reason(self, name: str, reason: str, *, seconds: float = 30) -> Manifest:
        """Wait until the status of a VideoJob has a reason, whatever its phase, and return the status."""

        def status() -> Manifest:
            return (self.get(name) or {}).get("status", {})

        wait_for(lambda: status().get("reason") == reason, f"the reason {reason} of {name}", seconds=seconds)
        return status()

    def _read(self, url: str) -> Manifest | None:
        answer = self.http.get(url)
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        found: Manifest = answer.json()
        return found


def wait_for(condition: Callable[[], object], what: str, *, seconds: float = 30) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.1)
