"""The calls to the API server. The only module of the operator, beside Kopf itself, that talks to Kubernetes.

Exceptions of the HTTP library end here and become those of `errors`.
"""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp

from videojob import resource
from videojob.names import MANAGED_BY, MANAGED_BY_LABEL
from videojob_operator.credentials import Credentials
from videojob_operator.errors import Conflict, KubernetesUnavailable, Refused
from videojob_operator.job import held
from videojob_operator.manifests import Key, Kind, Manifest
from videojob_operator.server_clock import ServerClock

CONNECTIONS = 64
TIMEOUT_SECONDS = 30
PAGE = 500
OWN_OBJECTS = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
SELECTORS = {Kind.VIDEO_JOBS: "", Kind.JOBS: OWN_OBJECTS, Kind.PODS: OWN_OBJECTS}
"""Which objects of a kind concern us: the label selector that the API server filters by."""

_PREFIXES = {
    Kind.VIDEO_JOBS: f"/apis/{resource.API_VERSION}",
    Kind.JOBS: "/apis/batch/v1",
    Kind.PODS: "/api/v1",
}
_MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


class Client:
    """A session of its own: Kopf closes the one it is given before our last writes are done.

    Args:
        credentials: the API server and who we are to it.
        on_answer: told method and status of each answer; status 0 where there was none.

    Attributes:
        clock: the API server's.
    """

    def __init__(self, credentials: Credentials, on_answer: Callable[[str, int], None]) -> None:
        self.clock = ServerClock(lambda: datetime.now(UTC))
        self._server = credentials.server
        self._on_answer = on_answer
        self._http = credentials.session(connections=CONNECTIONS, timeout_seconds=TIMEOUT_SECONDS)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def create_job(self, job: Manifest) -> Manifest:
        """Create a Job.

        Raises:
            Conflict: a Job of this name exists.
        """
        return await self._call("POST", self._url(Kind.JOBS, job["metadata"]["namespace"]), json=job)

    async def delete(self, kind: Kind, key: Key, uid: str) -> Manifest | None:
        """Delete the Job or the VideoJob of this uid, and in the background all that is owned.

        The pods of a Job get SIGTERM at once, not when the Job is gone.

        Returns:
            The object where something still holds it; None where it is gone.

        Raises:
            Conflict: it was gone before, or another has its name.
        """
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        answer = await self._call("DELETE", self._url(kind, *key), json=options)
        return None if answer["kind"] == "Status" else answer

    async def end_job(self, key: Key, uid: str, seconds: int) -> Manifest:
        """Let the Job of this uid pass its deadline: the Job controller stops its pod and keeps those that have ended.

        Raises:
            Conflict: it is gone, or another Job has its name.
        """
        patch = {"metadata": {"uid": uid}, "spec": {"activeDeadlineSeconds": seconds}}
        return await self._call("PATCH", self._url(Kind.JOBS, *key), json=patch, headers=_MERGE_PATCH)

    async def fail_pod(self, namespace: str, name: str, uid: str, condition: Manifest) -> Manifest:
        """Write the end of a pod whose kubelet cannot, with the condition that says why.

        Raises:
            Conflict: it is gone.
        """
        patch = {"metadata": {"uid": uid}, "status": {"phase": "Failed", "conditions": [condition]}}
        kind = {"Content-Type": "application/strategic-merge-patch+json"}  # conditions are merged by their type
        return await self._call("PATCH", self._url(Kind.PODS, namespace, name) + "/status", json=patch, headers=kind)

    async def suspend_job(self, key: Key, uid: str, *, suspend: bool) -> Manifest:
        """Suspend the Job of this uid, or let it go on.

        Raises:
            Conflict: it is gone, or another Job has its name.
        """
        meta = {"uid": uid, "annotations": held(suspend=suspend)}
        patch = {"metadata": meta, "spec": {"suspend": suspend}}
        return await self._call("PATCH", self._url(Kind.JOBS, *key), json=patch, headers=_MERGE_PATCH)

    async def patch_status(self, key: Key, observed: Manifest, fields: Manifest) -> Manifest:
        """Merge fields into the status of the VideoJob that was observed.

        Raises:
            Conflict: it was changed, replaced or deleted since.
        """
        meta = {name: observed["metadata"][name] for name in ("uid", "resourceVersion")}
        url = self._url(Kind.VIDEO_JOBS, *key) + "/status"
        return await self._call("PATCH", url, json={"metadata": meta, "status": fields}, headers=_MERGE_PATCH)

    async def read(self, kind: Kind, key: Key) -> Manifest | None:
        """Read an object afresh; None where there is none."""
        try:
            return await self._call("GET", self._url(kind, *key))
        except Conflict:
            return None

    def list_pages(self, kind: Kind, namespace: str, selector: str) -> AsyncIterator[tuple[list[Manifest], int]]:
        """List all objects of a kind, page by page, each with the resourceVersion of the whole list."""
        return self._pages(self._url(kind, namespace), {"labelSelector": selector})

    async def list_path(self, path: str, **parameters: str) -> list[Manifest]:
        """List objects that are not watched.

        Raises:
            Conflict: there is no such kind here.
        """
        return [item async for page, _ in self._pages(f"{self._server}{path}", parameters) for item in page]

    async def _pages(self, url: str, parameters: dict[str, str]) -> AsyncIterator[tuple[list[Manifest], int]]:
        parameters = {"limit": str(PAGE), **parameters}
        while True:
            page = await self._call("GET", url, params=parameters)
            yield page["items"] or [], int(page["metadata"]["resourceVersion"])
            if not page["metadata"].get("continue"):
                return
            parameters["continue"] = page["metadata"]["continue"]

    async def post_event(self, namespace: str, event: Manifest) -> None:
        """Record an Event."""
        await self._call("POST", f"{self._server}/api/v1/namespaces/{namespace}/events", json=event)

    async def read_lease(self, namespace: str, name: str) -> Manifest | None:
        """Read a Lease; None where there is none."""
        try:
            return await self._call("GET", self._leases(namespace) + f"/{name}")
        except Conflict:
            return None

    async def create_lease(self, lease: Manifest) -> None:
        """Create a Lease.

        Raises:
            Conflict: another candidate was faster.
        """
        await self._call("POST", self._leases(lease["metadata"]["namespace"]), json=lease)

    async def replace_lease(self, lease: Manifest) -> None:
        """Write a Lease that was read before.

        Raises:
            Conflict: it was changed since.
        """
        meta = lease["metadata"]
        await self._call("PUT", self._leases(meta["namespace"]) + f"/{meta['name']}", json=lease)

    def _leases(self, namespace: str) -> str:
        return f"{self._server}/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"

    def _url(self, kind: Kind, namespace: str, name: str = "") -> str:
        return f"{self._server}{_PREFIXES[kind]}/namespaces/{namespace}/{kind}" + (f"/{name}" if name else "")

    async def _call(self, method: str, url: str, **arguments: Any) -> Manifest:
        try:
            async with self._http.request(method, url, **arguments) as answer:
                body = await answer.read()
                self.clock.hear(answer.headers.get("Date"))
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self._on_answer(method, 0)
            raise KubernetesUnavailable(f"{method} {url}: {str(error) or type(error).__name__}") from error
        self._on_answer(method, answer.status)
        if answer.status < 400:
            content: Manifest = json.loads(body)
            return content
        message = _message(body)
        if answer.status in (404, 409):
            raise Conflict(f"{method} {url}: {message}")
        if answer.status in (401, 429) or answer.status >= 500:
            raise KubernetesUnavailable(f"{method} {url}: {answer.status} {message}")
        raise Refused(message)


def _message(body: bytes) -> str:
    """The message of a metav1.Status, or the text itself: of a resource the server does not know, and of a proxy."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()[:200]
