"""Requests that are repeated, and requests for several videos, on the real API server."""

import asyncio
from typing import Any

import httpx
import pytest
from cluster import Cluster

from videojob_api.errors import InvalidInput
from videojob_api.idempotency import repeatable

BODY = {"prompt": "a squirrel", "seed": 42}
KEY = {"Idempotency-Key": "order-4711"}


def names(cluster: Cluster) -> list[str]:
    return sorted(job["metadata"]["name"] for job in cluster.all())


@pytest.fixture
def replicas(live: str, server: Any) -> list[str]:
    """URLs of the API in two processes."""
    return [live, server.url]


def test_the_key_and_the_namespace_decide_the_name_and_the_request_the_digest() -> None:
    first = repeatable({"idempotency-key": "a"}, "ns", {"prompt": "x", "n": 1})
    assert first
    assert first == repeatable({"idempotency-key": "a"}, "ns", {"n": 1, "prompt": "x"})
    for namespace, key, asked in (("ns", "b", 1), ("other", "a", 1)):
        different = repeatable({"idempotency-key": key}, namespace, asked)
        assert different
        assert different.name != first.name
    changed = repeatable({"idempotency-key": "a"}, "ns", {"prompt": "y", "n": 1})
    assert changed
    assert (changed.name, changed.digest != first.digest) == (first.name, True)
    assert len(first.name) <= 50  # room for -2 … -8
    assert repeatable({}, "ns", {}) is None


@pytest.mark.parametrize("key", ["", " ", "a b", "ключ", "a\x7f", "x" * 256])
def test_a_key_no_client_would_choose_is_refused(key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        repeatable({"idempotency-key": key}, "ns", {})
    assert caught.value.field == "Idempotency-Key"


@pytest.mark.cluster
async def test_a_repeated_request_gives_the_same_job(api: httpx.AsyncClient, cluster: Cluster) -> None:
    first = await api.post("/generate", json=BODY, headers=KEY)
    again = await api.post("/generate", json=dict(reversed(BODY.items())), headers=KEY)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert names(cluster) == [first.json()["job_id"]]
    assert "4711" not in str(cluster.all())


@pytest.mark.cluster
async def test_another_request_under_the_same_key_is_409(api: httpx.AsyncClient, cluster: Cluster) -> None:
    job_id = (await api.post("/generate", json=BODY, headers=KEY)).json()["job_id"]
    for path, body in (
        ("/generate", BODY | {"seed": 43}),
        ("/generate", BODY | {"n": 2}),
        ("/v1/videos", BODY),
        (f"/v1/videos/{job_id}/remix", {"prompt": "a cat"}),
    ):
        answer = await api.post(path, json=body, headers=KEY)
        assert answer.status_code == 409, path
        assert answer.json()["error"]["code"] == "IdempotencyKeyReused"
    assert names(cluster) == [job_id]


@pytest.mark.cluster
async def test_without_a_key_every_request_is_a_new_one(api: httpx.AsyncClient, cluster: Cluster) -> None:
    for _ in range(2):
        await api.post("/generate", json=BODY)
    assert len(names(cluster)) == 2


@pytest.mark.cluster
async def test_a_deleted_job_is_forgotten_with_its_key(api: httpx.AsyncClient, cluster: Cluster) -> None:
    job_id = (await api.post("/generate", json=BODY, headers=KEY)).json()["job_id"]
    await api.delete(f"/jobs/{job_id}")
    again = await api.post("/generate", json=BODY | {"seed": 43}, headers=KEY)
    assert (again.status_code, again.json()["job_id"]) == (200, job_id)


@pytest.mark.cluster
def test_fifty_equal_requests_at_once_to_two_replicas_give_one_job(replicas: list[str], cluster: Cluster) -> None:
    async def post_all() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=60) as client:
            posts = [
                client.post(f"{replicas[number % 2]}/generate", json=BODY | {"n": 2}, headers=KEY)
                for number in range(50)
            ]
            return await asyncio.gather(*posts)

    answers = asyncio.run(post_all())
    assert {answer.status_code for answer in answers} == {200}
    ids = {tuple(job["job_id"] for job in answer.json()["jobs"]) for answer in answers}
    assert len(ids) == 1
    assert names(cluster) == sorted(ids.pop())


@pytest.mark.cluster
def test_two_replicas_tell_the_same_of_a_job_at_once(replicas: list[str]) -> None:
    one, two = replicas
    with httpx.Client(timeout=60) as http:
        for number in range(10):
            wrote, read = (one, two) if number % 2 else (two, one)
            job_id = http.post(f"{wrote}/v1/videos", json=BODY).json()["id"]
            assert http.get(f"{read}/v1/videos/{job_id}").json()["id"] == job_id
            deleted = http.delete(f"{read}/v1/videos/{job_id}").json()
            assert deleted == {"id": job_id, "object": "video.deleted", "deleted": True}
            assert http.delete(f"{wrote}/v1/videos/{job_id}").status_code == 404


@pytest.mark.cluster
async def test_several_videos_are_jobs_with_successive_seeds(api: httpx.AsyncClient, cluster: Cluster) -> None:
    answer = (await api.post("/generate", json=BODY | {"n": 3})).json()
    first = answer["job_id"]
    assert [job["job_id"] for job in answer["jobs"]] == [first, f"{first}-2", f"{first}-3"]
    assert [job["seed"] for job in answer["jobs"]] == [42, 43, 44]
    for job in cluster.all():
        assert job["metadata"]["labels"] == {"videojob.dev/batch": first}
    assert sorted(job["spec"]["request"]["seed"] for job in cluster.all()) == [42, 43, 44]


@pytest.mark.cluster
async def test_a_client_that_asks_for_one_gets_what_it_always_got(api: httpx.AsyncClient, cluster: Cluster) -> None:
    assert (await api.post("/generate", json=BODY | {"n": 1})).json().keys() == {"job_id", "status"}
    (job,) = cluster.all()
    assert "labels" not in job["metadata"]


def allow(cluster: Cluster, count: int) -> None:
    """Let the namespace hold so many VideoJobs."""
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"count/videojobs.videojob.dev": str(count)}}}
    cluster.delete("q", "resourcequotas", "api/v1") if count > 2 else None
    cluster.http.post(cluster.url(plural="resourcequotas", group="api/v1"), json=quota).raise_for_status()
    cluster.kubectl.run("wait", "--for=jsonpath={.status.hard}", "resourcequota/q", f"--namespace={cluster.namespace}")


@pytest.mark.cluster
async def test_a_batch_that_the_quota_cuts_short_is_taken_back(api: httpx.AsyncClient, cluster: Cluster) -> None:
    allow(cluster, 2)
    answer = await api.post("/generate", json=BODY | {"n": 3})
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "QuotaExceeded")
    assert names(cluster) == []


@pytest.mark.cluster
async def test_a_batch_with_a_key_is_completed_by_its_repetition(api: httpx.AsyncClient, cluster: Cluster) -> None:
    allow(cluster, 2)
    body = {"prompt": "a squirrel", "n": 3}
    assert (await api.post("/generate", json=body, headers=KEY)).status_code == 429
    seeds = sorted(job["spec"]["request"]["seed"] for job in cluster.all())
    assert len(seeds) == 2
    allow(cluster, 3)
    for _ in range(100):  # the API server remembers the old quota for some seconds
        completed = await api.post("/generate", json=body, headers=KEY)
        if completed.status_code == 200:
            break
        await asyncio.sleep(0.2)
    assert completed.status_code == 200
    assert "idempotent-replayed" not in completed.headers
    assert [job["seed"] for job in completed.json()["jobs"]] == [seeds[0], seeds[0] + 1, seeds[0] + 2]
    # The quota is used up now, and asked before names: a repetition finds its jobs all the same.
    assert (await api.post("/generate", json=body, headers=KEY)).headers["idempotent-replayed"] == "true"
