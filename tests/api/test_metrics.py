"""What Prometheus is told, the headers of every answer, and the trace of a request."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
from cluster import Cluster
from prometheus_client.parser import text_string_to_metric_families
from tests.api.conftest import OpenClient

from videojob_api.settings import Delivery, Settings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


async def measured(client: httpx.AsyncClient) -> dict[tuple[str, ...], float]:
    """Return all samples: name and values of labels -> value."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


async def test_requests_are_counted_by_template_method_and_status(away: httpx.AsyncClient) -> None:
    for path in ("/status/job-1", "/status/job-2", "/status/NO", "/no/such/route"):
        await away.get(path)
    await away.request("BREW", "/no/such/route")
    samples = await measured(away)
    assert samples["videojob_api_requests_total", "GET", "/status/{job_id}", "503"] == 2
    assert samples["videojob_api_requests_total", "GET", "/status/{job_id}", "404"] == 1
    assert samples["videojob_api_requests_total", "GET", "none", "404"] == 1
    assert samples["videojob_api_requests_total", "other", "none", "404"] == 1
    assert samples["videojob_api_request_seconds_count", "GET", "/status/{job_id}"] == 3
    assert samples["videojob_api_requests_in_progress",] == 1
    assert samples["videojob_api_build_info", "0.1.0"] == 1
    assert not [name for name in samples if name[0] == "videojob_api_jobs"]


@pytest.mark.cluster
async def test_jobs_are_counted_by_phase(api: httpx.AsyncClient, cluster: Cluster) -> None:
    for number in range(3):
        cluster.create(f"job-{number}")
    cluster.patch("job-0", {"status": {"phase": "Running"}}, "/status")
    assert (await api.get("/jobs")).status_code == 200  # answered once all are known
    samples = await measured(api)
    assert samples["videojob_api_jobs", "Pending"] == 2
    assert samples["videojob_api_jobs", "Running"] == 1
    assert samples["videojob_api_jobs", "Failed"] == 0
    assert samples["videojob_api_stale_seconds",] == 0


@pytest.mark.cluster
async def test_a_stream_is_measured_until_it_begins(live_url: str, job_id: str) -> None:
    async with httpx.AsyncClient(base_url=live_url, timeout=120) as client:
        async with client.stream("GET", f"/jobs/{job_id}/events") as events:
            assert await anext(events.aiter_lines())
            assert (await measured(client))["videojob_api_requests_in_progress",] == 2
        async with asyncio.timeout(120):
            while ("videojob_api_requests_total", "GET", "/jobs/{job_id}/events", "200") not in await measured(  # noqa: ASYNC110
                client
            ):
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("path", ["/", "/docs", "/models", "/status/NO", "/v1/nothing", "/no/such/route", "/metrics"])
async def test_every_answer_keeps_a_browser_from_harm(path: str, away: httpx.AsyncClient) -> None:
    headers = (await away.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] in {"no-store", "no-cache", "private, no-cache"}


async def test_the_page_may_load_from_where_downloads_are_redirected_to(
    dead_settings: Settings, open_client: OpenClient
) -> None:
    outside = replace(dead_settings, delivery=Delivery.REDIRECT, public_s3_endpoint="https://s3.example.com")
    async with open_client(outside) as client:
        for _ in range(2):
            policy = (await client.get("/")).headers["Content-Security-Policy"]
            assert "media-src 'self' blob: https://s3.example.com;" in policy


async def test_swagger_comes_without_another_host(away: httpx.AsyncClient) -> None:
    page = (await away.get("/docs")).text
    assert "://" not in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"docs/{name}" in page
        answer = await away.get(f"/docs/{name}")
        assert len(answer.content) > 100_000
        again = await away.get(f"/docs/{name}", headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304
    assert (await away.get("/docs/no-such-file.js")).status_code == 404


@pytest.mark.cluster
async def test_a_trace_goes_on_into_the_videojob(api: httpx.AsyncClient, cluster: Cluster) -> None:
    traced = {"traceparent": TRACEPARENT}
    for path in ("/generate", "/v1/videos"):
        answer = (await api.post(path, json={"prompt": "a squirrel"}, headers=traced)).json()
        job = cluster.get(answer.get("job_id") or answer["id"])
        assert job
        assert job["metadata"]["annotations"] == {"videojob.dev/traceparent": TRACEPARENT}
    answer = (await api.post("/generate", json={"prompt": "a"}, headers={"traceparent": "$(HOME)"})).json()
    job = cluster.get(answer["job_id"])
    assert job
    assert "annotations" not in job["metadata"]


@pytest.mark.cluster
async def test_the_log_names_the_trace(server: Any, settings: Settings) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
        for traced in ({"traceparent": TRACEPARENT}, {}):
            answer = await client.post("/generate", json={"prompt": "a squirrel"}, headers=traced)
            assert answer.status_code == 200
    server.process.terminate()
    server.process.wait(timeout=120)
    made = [line.get("trace_id") for line in server.lines() if line["message"] in {"job created", "answered"}]
    assert made.count(TRACE) == 2
    assert made.count(None) >= 2


async def test_a_request_is_under_way_until_it_is_answered_however_it_ends(away: httpx.AsyncClient) -> None:
    for path in ("/status/job-1", "/status/NO", "/no/such/route", "/models"):
        await away.get(path)
    assert (await measured(away))["videojob_api_requests_in_progress",] == 1
