"""Jobs through the API on the real API server, with the rights of the chart's Role."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cluster import Cluster

from videojob_api import creation, credentials
from videojob_api.settings import Settings

pytestmark = pytest.mark.cluster

SEED_BODY = {"prompt": "a squirrel", "num_frames": 49, "guidance_scale": 4.5, "seed": 42, "fps": 12}


def request_of(job: dict[str, Any] | None) -> dict[str, Any]:
    assert job
    request: dict[str, Any] = job["spec"]["request"]
    return request


async def test_a_client_of_the_seed_service_gets_what_it_knows(api: httpx.AsyncClient, cluster: Cluster) -> None:
    answer = await api.post("/generate", json=SEED_BODY)
    assert answer.status_code == 200
    assert answer.json().keys() == {"job_id", "status"}
    assert answer.json()["status"] == "pending"
    job_id = answer.json()["job_id"]
    assert request_of(cluster.get(job_id)) == {
        "prompt": "a squirrel",
        "model": "CogVideoX-tiny",
        "numFrames": 49,
        "guidanceScale": 4.5,
        "seed": 42,
        "fps": 12,
    }
    status = (await api.get(f"/status/{job_id}")).json()
    assert (status["job_id"], status["status"]) == (job_id, "pending")


async def test_health_gives_the_five_numbers(
    api: httpx.AsyncClient, cluster: Cluster, job_id: str, finish: Callable[..., str]
) -> None:
    cluster.create("done")
    finish("done", b"mp4")
    cluster.create("given-up")
    cluster.patch("given-up", {"status": {"phase": "Failed"}}, "/status")
    cluster.patch(job_id, {"status": {"phase": "Running", "renderer": {"gpuUtilization": 80}}}, "/status")
    health = (await api.get("/health")).json()
    assert health.keys() == {"cpu_usage", "memory_usage", "gpu_usage", "active_jobs", "completed_jobs"}
    assert (health["active_jobs"], health["completed_jobs"], health["gpu_usage"]) == (1, 1, 80.0)
    assert 0 <= health["cpu_usage"] <= 100
    assert 0 < health["memory_usage"] <= 100


async def test_health_without_jobs_counts_none(api: httpx.AsyncClient) -> None:
    health = (await api.get("/health")).json()
    assert (health["active_jobs"], health["completed_jobs"], health["gpu_usage"]) == (0, 0, 0.0)


async def test_the_service_is_ready(api: httpx.AsyncClient) -> None:
    answer = await api.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("phase", "word"),
    [("Queued", "pending"), ("Starting", "processing"), ("Uploading", "processing"), ("Failed", "failed")],
)
async def test_status_follows_the_phase(
    phase: str, word: str, api: httpx.AsyncClient, cluster: Cluster, job_id: str
) -> None:
    cluster.patch(
        job_id,
        {"status": {"phase": phase, "reason": "OutOfMemory", "message": "the GPU ran out of memory"}},
        "/status",
    )
    status = (await api.get(f"/status/{job_id}")).json()
    assert (status["status"], status["phase"], status["reason"]) == (word, phase, "OutOfMemory")
    assert status["message"] == "the GPU ran out of memory"
    assert datetime.fromisoformat(status["created_time"]).tzinfo
    assert status["video_url"] is None


@pytest.mark.parametrize("route", ["GET /status/{}", "GET /video/{}", "DELETE /jobs/{}", "POST /jobs/{}/cancel"])
async def test_an_unknown_job_is_404(route: str, api: httpx.AsyncClient) -> None:
    method, path = route.split()
    answer = await api.request(method, path.format("job-20250914-121030-x7k2p"))
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "UnknownJob"


async def test_cancel_sets_the_wish_and_may_be_repeated(api: httpx.AsyncClient, cluster: Cluster, job_id: str) -> None:
    assert (await api.post(f"/jobs/{job_id}/cancel")).status_code == 200
    cancelled = cluster.get(job_id)
    assert cancelled
    assert cancelled["spec"]["cancel"] is True
    assert (await api.post(f"/jobs/{job_id}/cancel")).status_code == 200
    cluster.patch(job_id, {"status": {"phase": "Cancelled"}}, "/status")
    answer = await api.post(f"/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "failed")


async def test_a_job_that_has_ended_cannot_be_cancelled(
    api: httpx.AsyncClient, job_id: str, finish: Callable[..., str]
) -> None:
    finish(job_id, b"mp4")
    answer = await api.post(f"/jobs/{job_id}/cancel")
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "JobEnded"


async def test_a_job_that_has_ended_unheard_is_not_called_cancelled(
    api: httpx.AsyncClient,
    job_id: str,
    finish: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert (await api.get(f"/status/{job_id}")).status_code == 200
    jobs = api._transport.app.state.services.jobs  # type: ignore[attr-defined]
    known_before = await jobs.get(job_id)
    finish(job_id, b"mp4")

    async def not_heard_of_its_end(_: str) -> dict[str, Any]:
        return known_before

    monkeypatch.setattr(jobs, "get", not_heard_of_its_end)
    with caplog.at_level("INFO"):
        answer = await api.post(f"/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "JobEnded")
    assert "job cancelled" not in caplog.text


async def test_a_deleted_job_is_gone(api: httpx.AsyncClient, cluster: Cluster, job_id: str) -> None:
    answer = await api.delete(f"/jobs/{job_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert cluster.get(job_id) is None
    assert (await api.delete(f"/jobs/{job_id}")).status_code == 404


async def test_the_list_comes_in_pages(api: httpx.AsyncClient, cluster: Cluster) -> None:
    for number in range(5):
        cluster.create(f"job-{number}")
    found, token = [], None
    while True:
        query = {"limit": 2} | ({"continue": token} if token else {})
        page = (await api.get("/jobs", params=query)).json()
        found += [job["job_id"] for job in page["jobs"]]
        token = page["continue"]
        if not token:
            break
    assert found == [f"job-{number}" for number in range(5)]


async def test_the_list_can_be_filtered(api: httpx.AsyncClient, cluster: Cluster, finish: Callable[..., str]) -> None:
    phases = {"waits": "Queued", "runs": "Running", "done": "Succeeded", "failed": "Failed", "unwanted": "Cancelled"}
    cluster.create("fresh")
    for name, phase in phases.items():
        cluster.create(name, model="CogVideoX1.5-5B" if name == "runs" else "CogVideoX-tiny", numFrames=17)
        cluster.patch(name, {"status": {"phase": phase}}, "/status")

    async def listed(**query: str) -> set[str]:
        answer = await api.get("/jobs", params=query)
        assert answer.status_code == 200, answer.text
        return {job["job_id"] for job in answer.json()["jobs"]}

    assert await listed(status="pending") == {"fresh", "waits"}
    assert await listed(status="processing") == {"runs"}
    assert await listed(status="completed") == {"done"}
    assert await listed(status="failed") == {"failed", "unwanted"}
    assert await listed(model="CogVideoX1.5-5B") == {"runs"}
    assert await listed(model="CogVideoX1.5-5B", status="completed") == set()
    assert await listed(model="Sora") == set()


async def test_the_list_comes_newest_first_if_asked(api: httpx.AsyncClient, cluster: Cluster) -> None:
    for number in range(3):
        cluster.create(f"job-{number}")
    page = (await api.get("/jobs", params={"order": "desc", "limit": 2})).json()
    rest = (await api.get("/jobs", params={"order": "desc", "continue": page["continue"]})).json()
    assert [job["job_id"] for job in page["jobs"] + rest["jobs"]] == ["job-2", "job-1", "job-0"]
    assert rest["continue"] is None


async def test_a_job_tells_what_was_asked_for(api: httpx.AsyncClient) -> None:
    job_id = (await api.post("/generate", json=SEED_BODY)).json()["job_id"]
    told = (await api.get(f"/jobs/{job_id}")).json()
    assert told["request"] == SEED_BODY | {"model": "CogVideoX-tiny", "profile": "default"}
    assert "prompt" not in (await api.get(f"/status/{job_id}")).text


@pytest.mark.parametrize("token", ["nonsense", "e30", "WzEsMl0", "\u00e9"])
async def test_a_wrong_continue_token_is_422(token: str, api: httpx.AsyncClient) -> None:
    answer = await api.get("/jobs", params={"continue": token})
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "continue"


async def test_a_used_up_quota_is_429(api: httpx.AsyncClient, cluster: Cluster) -> None:
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"count/videojobs.videojob.dev": "0"}}}
    cluster.http.post(cluster.url(plural="resourcequotas", group="api/v1"), json=quota).raise_for_status()
    # What is used is known only when the quota controller has found out that there are VideoJobs.
    used = ("wait", "--for=jsonpath={.status.used}", "--timeout=110s", "resourcequota/q")
    cluster.kubectl.run(*used, f"--namespace={cluster.namespace}")
    answer = await api.post("/generate", json=SEED_BODY)
    assert answer.status_code == 429, answer.text
    assert answer.json()["error"]["code"] == "QuotaExceeded"
    assert int(answer.headers["retry-after"]) > 0


@pytest.fixture
def no_skateboards(cluster: Cluster) -> Iterator[str]:
    """A policy of the cluster for the namespace of the test, in words that a refusal of rights might have."""
    url, name = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic", f"{cluster.namespace}-skateboards"
    rule = {"apiGroups": ["videojob.dev"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["videojobs"]}
    words = "User of this namespace cannot have skateboards"
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "!object.spec.request.prompt.contains('skateboard')", "message": words}],
    }
    here = {"matchLabels": {"kubernetes.io/metadata.name": cluster.namespace}}
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": here}}
    for plural, content in (("ies", spec), ("ybindings", binding)):
        made = cluster.http.post(url + plural, json={"metadata": {"name": name}, "spec": content})
        made.raise_for_status()
    yield words
    for plural in ("ies", "ybindings"):
        cluster.http.delete(f"{url}{plural}/{name}")


async def test_a_policy_of_the_cluster_is_told_as_one_and_in_its_words(
    api: httpx.AsyncClient, no_skateboards: str
) -> None:
    body = {"prompt": "a squirrel riding a skateboard"}
    async with asyncio.timeout(240):  # the API server takes a while to heed a new policy
        while (answer := await api.post("/generate", json=body)).status_code == 200:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (403, "PolicyRefused")
    assert no_skateboards in error["message"]
    assert (await api.post("/generate", json=SEED_BODY)).status_code == 200


async def test_without_its_rights_the_service_is_unavailable(api: httpx.AsyncClient, cluster: Cluster) -> None:
    cluster.delete("api", "rolebindings", "apis/rbac.authorization.k8s.io/v1")
    answer = await api.get("/status/job-1")
    assert answer.status_code == 503
    assert "right" in answer.json()["error"]["message"]


async def test_a_token_that_was_replaced_is_read_again(
    settings: Settings, open_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "TOKEN_READ_AGAIN_SECONDS", 0)
    assert settings.kubeconfig
    token = Path(settings.kubeconfig).with_suffix(".token")
    good = token.read_text()
    token.write_text("ended")
    async with open_client(settings) as client:
        assert (await client.get("/jobs")).status_code == 503
        token.unlink()
        assert (await client.get("/jobs")).status_code == 503
        token.write_text(good)
        assert (await client.get("/jobs")).status_code == 200


async def test_a_name_that_is_taken_is_replaced_by_another(
    api: httpx.AsyncClient, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.create("taken")
    names = iter(["taken", "taken", "free"])
    monkeypatch.setattr(creation, "new_name", lambda *_: next(names))
    assert (await api.post("/generate", json=SEED_BODY)).json()["job_id"] == "free"
