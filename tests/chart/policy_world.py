"""The world in which the table of rights is tried: the chart installed, pods of VideoJobs, and everybody's credentials.

The chart is first installed without its policies, to get a token that they would not let anyone have; then with them.
Afterwards the operator is sent away, so that the world stands still.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from cluster import MERGE_PATCH, Cluster, Manifest, wait_for

from videojob import resource

SLEEPING = {
    "default": {
        "gpus": 0,
        "image": "test/sleep:1",
        "resources": {"requests": {"cpu": "10m", "memory": "1Mi", "ephemeral-storage": None}, "limits": None},
    }
}
VIDEO_JOBS = ("one", "one-x", "on", "seeded", "again", "gone", "ended")
SEED = 7


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Two that the release serves, and one that it does not."""

    home: str
    second: str
    unserved: str


class World:
    """Everything a case needs: who asks, and what is there.

    Attributes:
        clients: name of an identity -> HTTP client of the API server with its credentials.
        pods: name of a VideoJob of the home namespace -> its pod, as it was at the start.
        uids: name of a VideoJob of the home namespace -> its uid now.
    """

    def __init__(self, cluster: Cluster, namespaces: Namespaces) -> None:
        self.cluster = cluster
        self.namespaces = namespaces
        self.clients: dict[str, httpx.Client] = {"admin": cluster.http}
        self.pods: dict[str, Manifest] = {}
        self.uids: dict[str, str] = {}

    def url(self, plural: str = resource.PLURAL, name: str = "", namespace: str | None = None) -> str:
        """Return the URL of a resource, in the home namespace if no other is named."""
        group = {"jobs": "apis/batch/v1", resource.PLURAL: f"apis/{resource.API_VERSION}"}.get(plural, "api/v1")
        return f"/{group}/namespaces/{namespace or self.namespaces.home}/{plural}" + (f"/{name}" if name else "")

    def send(self, who: str, method: str, url: str, body: Manifest | None = None, **headers: str) -> httpx.Response:
        """Ask the API server as somebody; nothing is changed, but admission looks at it."""
        kind = MERGE_PATCH if method == "PATCH" else {"Content-Type": "application/json"}
        options: dict[str, Any] = {"params": {"dryRun": "All"}} if method != "GET" else {}
        if body is not None:
            options["json"] = body
        impersonated = {key.replace("_", "-"): value for key, value in headers.items()}
        return self.clients[who].request(method, url, headers=kind | impersonated, **options)


@contextmanager
def world(cluster: Cluster, namespaces: Namespaces) -> Iterator[World]:
    """Build the world; undo what is not in a namespace of the test."""
    made = World(cluster, namespaces)
    try:
        _build(made)
        yield made
    finally:
        for name, client in made.clients.items():
            if name != "admin":
                client.close()


def _build(made: World) -> None:
    cluster, namespaces = made.cluster, made.namespaces
    served = f"namespaces={{{namespaces.home},{namespaces.second}}}"
    cluster.install(
        "api.replicas=0", "operator.replicas=0", "admissionPolicies.enabled=false", served, profiles=SLEEPING
    )
    made.clients["renderer, token of no pod"] = _client(cluster, _token(cluster, "renderer"))
    cluster.install("api.replicas=0", served, profiles=SLEEPING)
    wait_for(lambda: _guarded(made), "the admission policies to take effect", seconds=120)
    for name in VIDEO_JOBS:
        cluster.create(name, **({"seed": SEED} if name == "seeded" else {"seed": None}))
    cluster.http.post(made.url(namespace=namespaces.second), json=_video_job("far")).raise_for_status()
    _mint_tokens_of_pods(made)
    for part in ("operator", "api"):
        made.clients[part] = _client(cluster, _token(cluster, part))
    cluster.kubectl.run(
        "scale", f"--namespace={namespaces.home}", "deployment/videojob-operator", "--replicas=0", "--timeout=60s"
    )
    wait_for(lambda: not _operator_pods(made), "the operator to be gone", seconds=240)
    _move_on(made)


def _mint_tokens_of_pods(made: World) -> None:
    """Ask for a token of each renderer's pod as its node does, bound to the pod."""
    control_plane = made.cluster.stack.control_plane
    pair = control_plane.node_credentials("local")
    tls = ssl.create_default_context(cafile=control_plane.ca)
    tls.load_cert_chain(pair.cert, pair.key)
    made.clients["node"] = httpx.Client(base_url=control_plane.server, verify=tls, timeout=30)
    for name in VIDEO_JOBS:
        made.cluster.wait_for_phase(name, "Starting", "Running", seconds=480)
        (made.pods[name],) = made.cluster.pods(name)
        made.clients[f"renderer of {name}"] = _client(made.cluster, _bound_token(made, made.pods[name]))
        made.uids[name] = (made.cluster.get(name) or {})["metadata"]["uid"]
    far = f"{made.url('pods', namespace=made.namespaces.second)}"
    wait_for(lambda: _running(made, far), "the pod in the second namespace", seconds=480)
    made.clients["renderer of far"] = _client(made.cluster, _bound_token(made, _running(made, far)[0]))


def _move_on(made: World) -> None:
    """Let one VideoJob be deleted, one be made anew under its pod, one end; and give a renderer too many rights."""
    cluster = made.cluster
    cluster.delete("gone")
    cluster.http.delete(cluster.url("again"), params={"propagationPolicy": "Orphan"}).raise_for_status()
    wait_for(lambda: cluster.get("again") is None, "VideoJob again to be deleted", seconds=120)
    made.uids["again"] = cluster.create("again", seed=None)["metadata"]["uid"]
    cluster.patch("ended", {"status": {"phase": "Failed", "reason": "GpuFault"}}, "/status")
    wait_for(lambda: not cluster.pods("gone"), "the pod of VideoJob gone to be deleted", seconds=480)
    rights = [{"apiGroups": ["videojob.dev"], "resources": ["videojobs", "videojobs/status"], "verbs": ["*"]}]
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{made.namespaces.second}"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "careless"}
    accounts = [
        {"kind": "ServiceAccount", "name": "videojob-renderer", "namespace": namespace}
        for namespace in (made.namespaces.home, made.namespaces.second)
    ]
    for plural, body in (("roles", {"rules": rights}), ("rolebindings", {"subjects": accounts, "roleRef": role})):
        cluster.http.post(f"{rbac}/{plural}", json={"metadata": {"name": "careless"}, **body}).raise_for_status()
    account = made.url("serviceaccounts", namespace=made.namespaces.unserved)
    cluster.http.post(account, json={"metadata": {"name": "videojob-renderer"}}).raise_for_status()


def _video_job(name: str) -> Manifest:
    request = {"prompt": "a squirrel", "numFrames": 9, "width": 64, "height": 64, "steps": 2}
    return {
        "apiVersion": resource.API_VERSION,
        "kind": resource.KIND,
        "metadata": {"name": name},
        "spec": {"request": request},
    }


def _running(made: World, url: str) -> list[Manifest]:
    items: list[Manifest] = made.cluster.http.get(url).json()["items"]
    return [pod for pod in items if pod["status"]["phase"] == "Running"]


def _operator_pods(made: World) -> list[Manifest]:
    selector = {"labelSelector": "app.kubernetes.io/component=operator"}
    items: list[Manifest] = made.cluster.http.get(made.url("pods"), params=selector).json()["items"]
    return items


def _guarded(made: World) -> bool:
    """Tell whether the API server has taken up the policies: it does so within a second or two."""
    return (
        made.send("admin", "POST", made.url("serviceaccounts", "videojob-renderer/token"), {"spec": {}}).status_code
        == 403
    )


def _token(cluster: Cluster, part: str) -> str:
    answer = cluster.http.post(
        cluster.url(f"videojob-{part}", "serviceaccounts", "api/v1") + "/token", json={"spec": {}}
    )
    answer.raise_for_status()
    token: str = answer.json()["status"]["token"]
    return token


def _bound_token(made: World, pod: Manifest) -> str:
    meta = pod["metadata"]
    url = made.url("serviceaccounts", "videojob-renderer/token", meta["namespace"])
    bound = {"kind": "Pod", "apiVersion": "v1", "name": meta["name"], "uid": meta["uid"]}
    answer = made.clients["node"].post(url, json={"spec": {"boundObjectRef": bound, "expirationSeconds": 3600}})
    assert answer.status_code == 201, answer.text
    token: str = answer.json()["status"]["token"]
    return token


def _client(cluster: Cluster, token: str) -> httpx.Client:
    control_plane = cluster.stack.control_plane
    tls = ssl.create_default_context(cafile=control_plane.ca)
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=control_plane.server, verify=tls, headers=headers, timeout=30)
