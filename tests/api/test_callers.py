"""Keys, and users of the cluster, on the real one: each sees its own namespace, and does what it may."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from cluster import Cluster
from tcp_relay import TcpRelay
from tests.api.conftest import OpenClient, by_way_of, grant, serving

from videojob_api.access.keys import new_key
from videojob_api.app import create_app
from videojob_api.settings import Authentication, Settings

pytestmark = pytest.mark.cluster

BODY = {"prompt": "a squirrel"}
_numbers = itertools.count(1)


@pytest.fixture
def other(cluster: Cluster) -> Iterator[str]:
    """A second namespace that the API serves."""
    name = f"{cluster.namespace}-other"
    cluster.http.post("/api/v1/namespaces", json={"metadata": {"name": name}}).raise_for_status()
    grant(cluster, name)
    yield name
    cluster.http.delete(f"/api/v1/namespaces/{name}")


@dataclass
class Keys:
    """A file of keys that a test writes."""

    path: Path
    entries: list[dict[str, Any]]

    def add(self, name: str, namespace: str, rate: int | None = None) -> str:
        """Draw a key and put it into the file."""
        key, entry = new_key(name, namespace, rate)
        self.write([*self.entries, json.loads(entry)])
        return key

    def write(self, entries: list[dict[str, Any]]) -> None:
        self.entries = entries
        fresh = self.path.with_name(f"keys-{next(_numbers)}.json")
        fresh.write_text(json.dumps({"keys": entries}))
        fresh.rename(self.path)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys.json", [])


@pytest.fixture
def with_keys(settings: Settings, other: str, keys: Keys) -> Settings:
    """Settings with the keys of that file, and both namespaces."""
    return replace(settings, more_namespaces=(other,), authentication=Authentication.KEYS, keys_file=keys.path)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_key_sees_only_its_namespace(
    with_keys: Settings, keys: Keys, other: str, cluster: Cluster, open_client: OpenClient
) -> None:
    studio, research = keys.add("studio", cluster.namespace), keys.add("research", other)
    async with open_client(with_keys) as client:
        job_id = (await client.post("/generate", json=BODY, headers=bearer(studio))).json()["job_id"]
        assert cluster.get(job_id)
        assert (await client.get(f"/status/{job_id}", headers=bearer(studio))).status_code == 200
        for method, path in (
            ("GET", f"/status/{job_id}"),
            ("GET", f"/jobs/{job_id}"),
            ("GET", f"/jobs/{job_id}/events"),
            ("GET", f"/video/{job_id}"),
            ("POST", f"/jobs/{job_id}/cancel"),
            ("DELETE", f"/jobs/{job_id}"),
            ("GET", f"/v1/videos/{job_id}"),
            ("GET", f"/v1/videos/{job_id}/content"),
            ("DELETE", f"/v1/videos/{job_id}"),
        ):
            assert (await client.request(method, path, headers=bearer(research))).status_code == 404, path
        assert (await client.get("/jobs", headers=bearer(research))).json()["jobs"] == []
        assert (await client.get("/health", headers=bearer(research))).json()["active_jobs"] == 0
        assert [job["job_id"] for job in (await client.get("/jobs", headers=bearer(studio))).json()["jobs"]] == [job_id]
        made = (await client.post("/generate", json=BODY, headers=bearer(research))).json()["job_id"]
        assert cluster.http.get(cluster.url(made).replace(cluster.namespace, other, 1)).status_code == 200
        named = bearer(research) | {"X-Videojob-Namespace": cluster.namespace}
        answer = await client.get("/jobs", headers=named)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "Forbidden")
        assert cluster.get(job_id)


async def test_the_same_idempotency_key_of_two_holders_is_two_keys(
    with_keys: Settings, keys: Keys, other: str, cluster: Cluster, open_client: OpenClient
) -> None:
    studio, research = keys.add("studio", cluster.namespace), keys.add("research", other)
    once = {"Idempotency-Key": "order-1"}
    async with open_client(with_keys) as client:
        ids = {
            (await client.post("/generate", json=BODY, headers=bearer(key) | once)).json()["job_id"]
            for key in (studio, studio, research)
        }
    assert len(ids) == 2


async def test_keys_come_and_go_while_the_service_runs(
    with_keys: Settings, keys: Keys, cluster: Cluster, open_client: OpenClient
) -> None:
    first = keys.add("first", cluster.namespace)
    async with open_client(with_keys) as client:
        assert (await client.get("/jobs", headers=bearer(first))).status_code == 200
        keys.write([])
        second = keys.add("second", cluster.namespace)
        async with asyncio.timeout(120):
            while (await client.get("/jobs", headers=bearer(second))).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert (await client.get("/jobs", headers=bearer(first))).status_code == 401


async def test_who_calls_too_often_is_told_when_to_come_back(
    with_keys: Settings, keys: Keys, cluster: Cluster, open_client: OpenClient
) -> None:
    slow, quick = keys.add("slow", cluster.namespace, rate=2), keys.add("quick", cluster.namespace)
    async with open_client(with_keys) as client:
        answers = [await client.get("/v1/videos", headers=bearer(slow)) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 30
        assert answers[-1].json()["error"]["type"] == "rate_limit_error"
        assert (await client.get("/jobs", headers=bearer(slow))).json()["error"]["code"] == "RateLimited"
        assert (await client.get("/jobs", headers=bearer(quick))).status_code == 200


async def test_the_openai_client_sends_its_key(with_keys: Settings, keys: Keys, cluster: Cluster) -> None:
    key = keys.add("studio", cluster.namespace)
    async with serving(create_app(with_keys)) as url:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key) as client:
            assert [model.id async for model in client.models.list()]
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="wrong") as client:
            with pytest.raises(openai.AuthenticationError, match="no such key"):
                await client.models.list()


async def test_the_log_names_the_caller_and_never_the_key(
    environment: dict[str, str],
    with_keys: Settings,
    keys: Keys,
    cluster: Cluster,
    request: pytest.FixtureRequest,
) -> None:
    key = keys.add("studio", cluster.namespace)
    environment |= {"VIDEOJOB_API_AUTH": "keys", "VIDEOJOB_API_KEYS_FILE": str(keys.path)}
    server = request.getfixturevalue("server")
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        assert (await client.get("/jobs", headers=bearer(key))).status_code == 200
        assert (await client.get("/jobs", headers=bearer("a-wrong-key"))).status_code == 401
    server.process.terminate()
    server.process.wait(timeout=120)
    answered = [line for line in server.lines() if line["message"] == "answered" and line["status"] in {200, 401}]
    assert {(line["status"], line.get("caller")) for line in answered} >= {(200, "studio"), (401, None)}
    assert key not in server.log.read_text()
    assert "a-wrong-key" not in server.log.read_text()


@asynccontextmanager
async def cluster_users(settings: Settings, open_client: OpenClient) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API that asks the cluster who one is."""
    async with open_client(replace(settings, authentication=Authentication.KUBERNETES)) as client:
        yield client


@pytest.fixture
def delegated(settings: Settings, cluster: Cluster) -> Iterator[Settings]:
    """Settings of a service that may ask the API server about others, as the chart lets it."""
    binding = {
        "metadata": {"name": f"{cluster.namespace}-delegator"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
        "subjects": [{"kind": "ServiceAccount", "name": "api", "namespace": cluster.namespace}],
    }
    url = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    cluster.http.post(url, json=binding).raise_for_status()
    yield settings
    cluster.http.delete(f"{url}/{cluster.namespace}-delegator")


@pytest.fixture
def token_of(cluster: Cluster, tmp_path: Path) -> Callable[..., str]:
    """Make a service account that has these verbs on VideoJobs, and return a token of it."""

    def made(account: str, verbs: list[str], namespace: str | None = None) -> str:
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace or cluster.namespace}"
        rule = {"apiGroups": ["videojob.dev"], "resources": ["videojobs"], "verbs": verbs}
        subject = {"kind": "ServiceAccount", "name": account, "namespace": cluster.namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account}
        named = {"metadata": {"name": account}}
        if cluster.http.get(cluster.url(account, "serviceaccounts", "api/v1")).status_code == 404:
            cluster.http.post(cluster.url(plural="serviceaccounts", group="api/v1"), json=named).raise_for_status()
        cluster.http.post(f"{rbac}/roles", json=named | {"rules": [rule]}).raise_for_status()
        binding = named | {"roleRef": role, "subjects": [subject]}
        cluster.http.post(f"{rbac}/rolebindings", json=binding).raise_for_status()
        cluster.service_account_kubeconfig(account, tmp_path / f"{account}.yaml")
        return (tmp_path / f"{account}.token").read_text()

    return made


async def test_a_token_of_the_cluster_opens_what_its_roles_open(
    delegated: Settings, other: str, cluster: Cluster, token_of: Callable[..., str], open_client: OpenClient
) -> None:
    writer = token_of("writer", ["create", "get", "list", "watch", "patch", "delete"])
    viewer = token_of("viewer", ["get", "list", "watch"])
    nobody = token_of("nobody", ["get"], other)
    async with cluster_users(replace(delegated, more_namespaces=(other,)), open_client) as client:
        job_id = (await client.post("/generate", json=BODY, headers=bearer(writer))).json()["job_id"]
        for path in (f"/status/{job_id}", "/jobs", "/health", "/models", f"/v1/videos/{job_id}"):
            assert (await client.get(path, headers=bearer(viewer))).status_code == 200, path
        for method, path, verb in (
            ("POST", "/generate", "create"),
            ("POST", "/v1/videos", "create"),
            ("POST", f"/v1/videos/{job_id}/remix", "create"),
            ("POST", f"/jobs/{job_id}/cancel", "patch"),
            ("DELETE", f"/jobs/{job_id}", "delete"),
        ):
            answer = await client.request(method, path, headers=bearer(viewer), json=BODY)
            assert answer.status_code == 403, path
            assert f"may not {verb} videojobs" in answer.json()["error"]["message"]
        assert (await client.get(f"/status/{job_id}", headers=bearer(nobody))).status_code == 403
        elsewhere = bearer(nobody) | {"X-Videojob-Namespace": other}
        assert (await client.get("/status/a-job", headers=elsewhere)).status_code == 404
        assert (await client.get("/jobs", headers=elsewhere)).status_code == 403
        unserved = bearer(writer) | {"X-Videojob-Namespace": "kube-system"}
        assert (await client.get("/jobs", headers=unserved)).status_code == 403
        for wrong in ({}, bearer("not-a-token"), bearer(writer[:-4]), {"Authorization": "Basic YTpi"}):
            assert (await client.get("/jobs", headers=wrong)).status_code == 401
        assert (await client.delete(f"/jobs/{job_id}", headers=bearer(writer))).status_code == 204


async def test_without_the_right_to_ask_the_service_says_what_it_lacks(
    settings: Settings, cluster: Cluster, token_of: Callable[..., str], open_client: OpenClient
) -> None:
    async with cluster_users(settings, open_client) as client:
        answer = await client.get("/jobs", headers=bearer(token_of("writer", ["list"])))
        assert answer.status_code == 503
        assert "administrator must grant the right" in answer.json()["error"]["message"]


async def test_while_the_api_server_is_away_those_known_read_and_strangers_are_told_to_wait(
    delegated: Settings, cluster: Cluster, token_of: Callable[..., str], open_client: OpenClient, tmp_path: Path
) -> None:
    server = urlsplit(cluster.stack.control_plane.server)
    async with TcpRelay(server.port or 0) as relay:
        kubeconfig = by_way_of(relay.port, delegated, tmp_path)
        known, stranger = token_of("known", ["list"]), token_of("stranger", ["list"])
        async with cluster_users(replace(delegated, kubeconfig=kubeconfig), open_client) as client:
            assert (await client.get("/jobs", headers=bearer(known))).status_code == 200
            await relay.cut()
            assert (await client.get("/jobs", headers=bearer(known))).status_code == 200
            answer = await client.get("/jobs", headers=bearer(stranger))
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ClusterUnavailable")
            assert "Retry-After" in answer.headers
            await relay.restore()
            async with asyncio.timeout(240):
                while (await client.get("/jobs", headers=bearer(stranger))).status_code != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
