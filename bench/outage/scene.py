"""The stack of a drill: what was ordered there, and what has become of it."""

import base64
import json
import secrets
from typing import Any

import httpx
import psutil
from bench.chaos.findings import Findings, Manifest, collect, items, phase_of, renderer_pods, video_jobs
from bench.chaos.verdict import has_ended
from bench.chaos.victims import pods_of
from bench.outage import jobs
from bench.outage.jobs import Kind
from bench.outage.watch import NAMESPACE, STALE
from tests.support.cluster import Kubectl
from tests.support.s3_client import s3_client

from videojob import environment
from videojob_local.stack import Stack

_SECRET = "videojob-webhooks"  # noqa: S105 - its name
_ENDED = {"Succeeded", "Failed", "Cancelled"}


def prepare(stack: Stack) -> dict[str, Any]:
    """Make the Secret that webhooks are signed with; returns the values that use it."""
    key = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    objects: list[Manifest] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": _SECRET, "namespace": NAMESPACE},
            "stringData": {"secrets": key},
        },
    ]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    Kubectl(stack.binaries, stack.kubeconfig).run("apply", "--filename=-", stdin=listed)
    return {"webhooks": {"existingSecret": _SECRET, "allowedNetworks": ["127.0.0.0/8"]}}


class Scene:
    """The jobs of one drill.

    Args:
        stack: where they are.
        url: of the REST API.

    Attributes:
        http: a client of the REST API.
        names: kind -> name of its VideoJob.
        disturbed: pods whose renderer was killed.
    """

    def __init__(self, stack: Stack, url: str) -> None:
        self.stack = stack
        self.http = httpx.Client(base_url=url, timeout=60)
        self.names: dict[Kind, str] = {}
        self.disturbed: set[str] = set()

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def order(self, kind: Kind, webhook: str) -> None:
        """Order a video."""
        answer = self.http.post("/generate", json=kind.body(webhook)).raise_for_status()
        self.names[kind] = str(answer.json()["job_id"])

    def video_job(self, kind: Kind) -> Manifest:
        """Return a VideoJob."""
        return video_jobs(self.stack, NAMESPACE)[self.names[kind]]

    def phase(self, kind: Kind) -> str:
        """Return its phase."""
        return phase_of(self.video_job(kind))

    def is_notified(self, kind: Kind) -> bool:
        """Tell whether the delivery of its webhook is on record."""
        conditions = self.video_job(kind).get("status", {}).get("conditions", [])
        return any(each["type"] == "Notified" and each["status"] == "True" for each in conditions)

    def has_checkpoint(self, kind: Kind) -> bool:
        """Tell whether its renderer has left a checkpoint."""
        client, storage = s3_client(self.stack.s3.storage), self.stack.s3.storage
        prefix = f"{NAMESPACE}/{self.video_job(kind)['metadata']['uid']}/checkpoint/"
        try:
            return bool(client.list_objects_v2(Bucket=storage.bucket, Prefix=prefix)["KeyCount"])
        finally:
            client.close()

    def job_uids(self) -> dict[str, str]:
        """Return the uids of Kubernetes' own Jobs by name."""
        listed = items(self.stack, f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs")
        return {job["metadata"]["name"]: job["metadata"]["uid"] for job in listed}

    def renderer(self, kind: Kind) -> psutil.Process | None:
        """Return the process that renders it."""
        found = self._renderers()
        mine = [process for process, variables in found if variables[environment.NAME] == self.names[kind]]
        return mine[0] if mine else None

    def _renderers(self) -> list[tuple[psutil.Process, dict[str, str]]]:
        return pods_of(self.stack, NAMESPACE, "videojob_renderer")

    def kill_renderer(self, kind: Kind) -> None:
        """Kill the process that renders it."""
        found = self._renderers()
        ((process, variables),) = (pair for pair in found if pair[1][environment.NAME] == self.names[kind])
        process.kill()
        self.disturbed.add(variables[environment.POD_NAME])

    def video(self, kind: Kind) -> bytes:
        """Download its video."""
        return self._download(self.names[kind])

    def api_is_in_step(self) -> bool:
        """Tell whether the API knows that what it says is new."""
        answer = self.http.get(f"/status/{self.names[jobs.DONE]}")
        return answer.status_code == 200 and STALE not in answer.headers

    def all_have_ended(self) -> bool:
        """Tell whether every VideoJob has ended."""
        return all(phase_of(job) in _ENDED for job in video_jobs(self.stack, NAMESPACE).values())

    def is_calm(self) -> bool:
        """Tell whether Kubernetes' own objects have ended, too."""
        pods = {pod["status"].get("phase") for pod in renderer_pods(self.stack, NAMESPACE)}
        listed = items(self.stack, f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs")
        return pods <= {"Succeeded", "Failed"} and all(has_ended(job) for job in listed)

    def collect(self, renderers: int) -> Findings:
        """Read everything that is there at the end."""
        return collect(self.stack, NAMESPACE, self._download, renderers)

    def _download(self, name: str) -> bytes:
        return self.http.get(f"/video/{name}").raise_for_status().content
