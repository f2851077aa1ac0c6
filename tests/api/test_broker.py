"""Signed URLs for renderers: real pods, tokens as kubelets ask for them, and an S3 server that checks signatures."""

import asyncio
import base64
import hashlib
import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from cluster import Cluster, Manifest, wait_for
from tcp_relay import TcpRelay
from tests.api.conftest import OpenClient, by_way_of
from types_boto3_s3 import S3Client

from videojob.broker import AUDIENCE, PATH
from videojob.names import artifact_key, checkpoint_key, embedding_key
from videojob_api import storage
from videojob_api.settings import Settings

pytestmark = pytest.mark.cluster

ACCOUNT = "videojob-renderer"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUP = "rbac.authorization.k8s.io"
_numbers = itertools.count(1)


@pytest.fixture
def brokering(settings: Settings, cluster: Cluster) -> Iterator[Settings]:
    """Settings of a service that may do what the chart lets it do for renderers, and no more."""
    name = f"{cluster.namespace}-token-reviews"
    subjects = [{"kind": "ServiceAccount", "name": "api", "namespace": cluster.namespace}]
    reviews = [{"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}]
    pods = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    home = f"{RBAC}/namespaces/{cluster.namespace}"
    for url, kind, called, rules in (
        (f"{RBAC}/clusterrole", "ClusterRole", name, reviews),
        (f"{home}/role", "Role", "api-pods", pods),
    ):
        named = {"metadata": {"name": called}}
        reference = {"apiGroup": GROUP, "kind": kind, "name": called}
        cluster.http.post(f"{url}s", json=named | {"rules": rules}).raise_for_status()
        binding = named | {"roleRef": reference, "subjects": subjects}
        cluster.http.post(f"{url}bindings", json=binding).raise_for_status()
    account = {"metadata": {"name": ACCOUNT}}
    cluster.http.post(cluster.url(plural="serviceaccounts", group="api/v1"), json=account).raise_for_status()
    yield replace(settings, renderer_service_account=ACCOUNT)
    for plural in ("clusterrolebindings", "clusterroles"):
        cluster.http.delete(f"{RBAC}/{plural}/{name}")


@pytest.fixture
async def client(brokering: Settings, open_client: OpenClient) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that service."""
    async with open_client(brokering) as client:
        yield client


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client of S3 that knows no keys."""
    async with httpx.AsyncClient(timeout=30) as http:
        yield http


def rendering(cluster: Cluster, name: str, program: str = "test/sleep:1", **request: Any) -> Manifest:
    """Make a VideoJob and its Job as the operator would, and return the pod that the Job controller makes."""
    uid = cluster.create(name, **request)["metadata"]["uid"]
    labels = {
        "app.kubernetes.io/managed-by": "videojob-operator",
        "videojob.dev/name": name,
        "videojob.dev/uid": uid,
    }
    container = {"name": "renderer", "image": program}
    spec = {"restartPolicy": "Never", "serviceAccountName": ACCOUNT, "containers": [container]}
    template = {"metadata": {"labels": labels}, "spec": spec | {"terminationGracePeriodSeconds": 0}}
    job = {"metadata": {"name": name, "labels": labels}, "spec": {"backoffLimit": 0, "template": template}}
    cluster.http.post(cluster.url(plural="jobs", group="apis/batch/v1"), json=job).raise_for_status()
    wait_for(lambda: cluster.pods(name), f"the pod of {name}", seconds=240)
    return cluster.pods(name)[0]


def token(cluster: Cluster, pod: Manifest | None, audience: str | None = AUDIENCE, account: str = ACCOUNT) -> str:
    """Ask for a token as the pod's node does."""
    spec: Manifest = {"audiences": [audience] if audience else []}
    if pod:
        meta = pod["metadata"]
        spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
    url = f"{cluster.url(account, 'serviceaccounts', 'api/v1')}/token"
    answer = cluster.http.post(url, json={"spec": spec})
    assert answer.status_code == 201, answer.text
    minted: str = answer.json()["status"]["token"]
    return minted


def keys_of(cluster: Cluster, pod: Manifest) -> dict[str, str]:
    """Return the keys that a pod may write."""
    uid, name = pod["metadata"]["labels"]["videojob.dev/uid"], pod["metadata"]["name"]
    return {
        "video": artifact_key("", cluster.namespace, uid, name, "video.mp4"),
        "checkpoint": checkpoint_key("", cluster.namespace, uid),
        "embedding": embedding_key("", cluster.namespace, hashlib.sha256(name.encode()).hexdigest()),
    }


def put(key: str, body: bytes, content_type: str = "video/mp4") -> Manifest:
    digest = hashlib.sha256(body).hexdigest()
    return {"method": "PUT", "key": key, "bytes": len(body), "contentType": content_type, "sha256": digest}


def get(key: str) -> Manifest:
    return {"method": "GET", "key": key}


def delete(key: str) -> Manifest:
    return {"method": "DELETE", "key": key}


async def ask(client: httpx.AsyncClient, token: str | None, *wishes: Manifest) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await client.post(PATH, json={"wishes": wishes}, headers=headers)


async def signed(client: httpx.AsyncClient, token: str, *wishes: Manifest) -> list[Manifest]:
    answer = await ask(client, token, *wishes)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    urls: list[Manifest] = answer.json()["urls"]
    return urls


def said(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["message"]


async def test_a_pod_puts_gets_and_deletes_what_is_its_own(
    client: httpx.AsyncClient,
    http: httpx.AsyncClient,
    cluster: Cluster,
    s3: S3Client,
    bucket: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pod = rendering(cluster, "squirrel")
    own, shown = keys_of(cluster, pod), token(cluster, pod)
    urls = await signed(client, shown, *(put(key, key.encode()) for key in own.values()))
    for key, url in zip(own.values(), urls, strict=True):
        assert (await http.put(url["url"], content=key.encode(), headers=url["headers"])).status_code == 200
        head = s3.head_object(Bucket=bucket, Key=key)
        assert (head["ContentLength"], head["ContentType"]) == (len(key), "video/mp4")
    (read, removed) = await signed(client, shown, get(own["checkpoint"]), delete(own["checkpoint"]))
    assert (await http.get(read["url"], headers=read["headers"])).content == own["checkpoint"].encode()
    assert (await http.delete(removed["url"])).status_code == 204
    assert (await http.get(read["url"])).status_code == 404
    assert "X-Amz-Signature" not in caplog.text


async def test_s3_takes_nothing_else_on_a_url_than_what_it_was_signed_for(
    client: httpx.AsyncClient,
    http: httpx.AsyncClient,
    cluster: Cluster,
    s3: S3Client,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pod = rendering(cluster, "squirrel")
    own, shown = keys_of(cluster, pod), token(cluster, pod)
    video, body = own["video"], b"the-video"
    (url,) = await signed(client, shown, put(video, body))
    right = url["headers"]
    other = base64.b64encode(hashlib.sha256(b"The-Video").digest()).decode()
    longer = {name: value for name, value in right.items() if name != "Content-Length"}
    without = {name: value for name, value in right.items() if name != "x-amz-checksum-sha256"}
    for content, headers in (
        (b"The-Video", right),  # another content under the signed checksum
        (b"The-Video", right | {"x-amz-checksum-sha256": other}),
        (b"The-Video", without),
        (b"the-video-and-more", longer),
        (body, right | {"Content-Type": "text/html"}),
    ):
        answer = await http.put(url["url"], content=content, headers=headers)
        assert 400 <= answer.status_code < 500, headers
    for method in ("GET", "DELETE"):
        assert (await http.request(method, url["url"], content=body, headers=right)).status_code == 403
    elsewhere = url["url"].replace("video.mp4", "other.mp4")
    assert (await http.put(elsewhere, content=body, headers=right)).status_code == 403
    assert not s3.list_objects_v2(Bucket=bucket, Prefix=video.rpartition("/")[0]).get("Contents")
    assert (await http.put(url["url"], content=body, headers=right)).status_code == 200
    monkeypatch.setattr(storage, "URL_SECONDS", 1)
    (brief,) = await signed(client, shown, get(video))
    async with asyncio.timeout(240):
        while (late := await http.get(brief["url"])).status_code == 200:  # noqa: ASYNC110 - it expires by itself
            await asyncio.sleep(0.2)
    assert (late.status_code, "Request has expired" in late.text) == (403, True)


async def test_everything_else_is_refused_and_named(client: httpx.AsyncClient, cluster: Cluster) -> None:
    foreign = f"s3://videos/inputs/{cluster.namespace}-other/secret"
    pod = rendering(cluster, "squirrel", model="CogVideoX-tiny-I2V", image=foreign)
    owl = rendering(cluster, "owl")
    own, others, shown = keys_of(cluster, pod), keys_of(cluster, owl), token(cluster, pod)
    sibling = own["video"].replace(pod["metadata"]["name"], "squirrel-bbbbb")
    for wish in (
        put(others["video"], b"x"),
        get(others["video"]),
        put(others["checkpoint"], b"x"),
        get(others["checkpoint"]),
        delete(others["checkpoint"]),
        put(sibling, b"x"),
        delete(own["video"]),
        delete(own["embedding"]),
        get(foreign.removeprefix("s3://videos/")),
        get(f"{own['video'].rpartition('/')[0]}/../../x"),
    ):
        status, message = said(await ask(client, shown, get(own["video"]), wish))
        assert status == 403
        assert wish["key"] in message
    for wrong in ([], [get(own["video"])] * 17, [{"method": "GET"}], [get(own["video"]) | {"acl": "public"}]):
        assert said(await ask(client, shown, *wrong))[0] == 422
    large = await client.post(PATH, content=b" " * 70_000, headers={"Authorization": f"Bearer {shown}"})
    assert large.status_code == 413
    assert PATH not in (await client.get("/openapi.json")).json()["paths"]


async def test_an_image_in_the_bucket_is_for_the_job_that_names_it(
    client: httpx.AsyncClient, http: httpx.AsyncClient, cluster: Cluster, s3: S3Client, bucket: str
) -> None:
    key = f"inputs/{cluster.namespace}/{'a' * 64}"
    s3.put_object(Bucket=bucket, Key=key, Body=b"pixels")
    pod = rendering(cluster, "squirrel", model="CogVideoX-tiny-I2V", image=f"s3://{bucket}/{key}")
    (url,) = await signed(client, token(cluster, pod), get(key))
    assert (await http.get(url["url"])).content == b"pixels"
    for wish in (put(key, b"x"), delete(key)):
        assert (await ask(client, token(cluster, pod), wish)).status_code == 403
    owl = rendering(cluster, "owl")
    assert (await ask(client, token(cluster, owl), get(key))).status_code == 403


async def test_only_the_token_of_a_pod_that_renders_opens_anything(client: httpx.AsyncClient, cluster: Cluster) -> None:
    pod = rendering(cluster, "squirrel")
    wish = get(keys_of(cluster, pod)["video"])
    for wrong in (None, "not-a-token", token(cluster, pod)[:-4] + "AAAA", token(cluster, pod, audience=None)):
        status, message = said(await ask(client, wrong, wish))
        assert (status, "audience videojob-api" in message) == (401, True)
    assert said(await ask(client, token(cluster, None), wish)) == (403, "the token is bound to no pod")
    # Without the Job's own labels: the Job controller would adopt it.
    labels = ("app.kubernetes.io/managed-by", "videojob.dev/name", "videojob.dev/uid")
    own = {label: pod["metadata"]["labels"][label] for label in labels}
    stray = {
        "metadata": {"name": "squirrel-stray", "labels": own},
        "spec": {"serviceAccountName": ACCOUNT, "containers": [{"name": "main", "image": "test/sleep:1"}]},
    }
    made = cluster.http.post(cluster.url(plural="pods", group="api/v1"), json=stray)
    made.raise_for_status()
    assert said(await ask(client, token(cluster, made.json()), wish)) == (
        403,
        "the pod squirrel-stray renders no VideoJob",
    )
    cluster.delete("squirrel-stray", "pods", "api/v1")
    status, message = said(await ask(client, token(cluster, None, account="api"), wish))
    assert (status, "is no renderer" in message) == (403, True)


async def test_a_pod_that_has_ended_or_whose_videojob_is_gone_gets_nothing_more(
    client: httpx.AsyncClient, cluster: Cluster
) -> None:
    ended = rendering(cluster, "ended", program="test/exit-0:1")
    name = ended["metadata"]["name"]
    wait_for(lambda: cluster.pods("ended")[0]["status"]["phase"] == "Succeeded", "the end of a pod", seconds=240)
    wish = get(keys_of(cluster, ended)["video"])
    assert said(await ask(client, token(cluster, ended), wish)) == (403, f"the pod {name} has ended")

    orphan = rendering(cluster, "orphan")
    cluster.delete("orphan")
    cluster.create("orphan")
    status, message = said(await ask(client, token(cluster, orphan), get(keys_of(cluster, orphan)["video"])))
    assert (status, message) == (403, f"the VideoJob of the pod {orphan['metadata']['name']} is gone")

    doomed = rendering(cluster, "doomed")
    shown = token(cluster, doomed)
    cluster.delete("doomed", "jobs", "apis/batch/v1")
    wait_for(lambda: not cluster.pods("doomed"), "the pod to be gone", seconds=240)
    assert (await ask(client, shown, get(keys_of(cluster, doomed)["video"]))).status_code == 401


async def test_while_the_api_server_is_away_those_known_are_served_and_others_told_to_wait(
    brokering: Settings, cluster: Cluster, open_client: OpenClient, tmp_path: Path
) -> None:
    server = urlsplit(cluster.stack.control_plane.server)
    pod = rendering(cluster, "squirrel")
    wish = get(keys_of(cluster, pod)["video"])
    async with TcpRelay(server.port or 0) as relay:
        relayed = replace(brokering, kubeconfig=by_way_of(relay.port, brokering, tmp_path))
        async with open_client(relayed) as client:
            known, stranger = token(cluster, pod), token(cluster, rendering(cluster, "owl"))
            await signed(client, known, wish)
            await relay.cut()
            await signed(client, known, wish)
            answer = await ask(client, stranger, wish)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ClusterUnavailable")
            assert "Retry-After" in answer.headers
            await relay.restore()
            async with asyncio.timeout(240):
                while (await ask(client, stranger, wish)).status_code == 503:  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
            assert (await ask(client, stranger, wish)).status_code == 403


async def test_a_service_whose_renderers_have_keys_signs_nothing(
    settings: Settings, cluster: Cluster, open_client: OpenClient
) -> None:
    async with open_client(settings) as client:
        status, message = said(await ask(client, "any", get("a/b")))
    assert (status, "they have keys of their own" in message) == (403, True)
