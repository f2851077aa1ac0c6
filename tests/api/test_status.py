"""GET /status answers from memory: whatever is kept between two answers, none tells what no longer holds."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from videojob.phases import Phase
from videojob_api.cache import Cache
from videojob_api.records import remember
from videojob_api.standing import Standing
from videojob_api.views import describe, text_of

CREATED = "2025-09-14T12:10:30Z"
RESOLVED = {"model": "CogVideoX-2b", "width": 720, "height": 480, "numFrames": 49, "steps": 50, "seed": 7}


def a_job(name: str, version: int, phase: str, *, uid: str = "", created: str = CREATED, **more: Any) -> dict[str, Any]:
    meta = {"name": name, "uid": uid or f"u-{name}", "resourceVersion": str(version), "creationTimestamp": created}
    status = {"phase": str(phase), "reason": f"reason-{version}", "resolved": RESOLVED, **more}
    return {"metadata": meta, "spec": {"request": {"prompt": "a squirrel"}}, "status": status}


def at_work(version: int, percent: int, eta_seconds: int, told_ago_seconds: int = 0) -> dict[str, Any]:
    told_at = (datetime.now(UTC) - timedelta(seconds=told_ago_seconds)).isoformat(timespec="seconds")
    progress = {"stage": "Denoising", "percent": percent, "etaSeconds": eta_seconds, "updatedTime": told_at}
    return a_job("a", version, "Running", podName="a-1", progress=progress | {"podName": "a-1"}, startTime=CREATED)


@pytest.fixture
def cache(away: httpx.AsyncClient) -> Cache:
    """What the API of `away` knows; it hears of nothing but what a test tells it."""
    cache: Cache = away._transport.app.state.services.jobs.cache  # type: ignore[attr-defined]
    return cache


async def told(client: httpx.AsyncClient, name: str = "a") -> dict[str, Any]:
    answer = await client.get(f"/status/{name}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    body: dict[str, Any] = answer.json()
    return body


async def test_every_version_of_a_job_is_told_as_soon_as_it_is_known(away: httpx.AsyncClient, cache: Cache) -> None:
    for version, phase in enumerate(Phase, start=1):
        cache.absorb(a_job("a", version, phase))
        for _ in range(2):
            answer = await told(away)
            assert (answer["phase"], answer["reason"]) == (phase, f"reason-{version}")


async def test_progress_is_told_as_soon_as_it_is_known(away: httpx.AsyncClient, cache: Cache) -> None:
    for version, percent in ((1, 10), (2, 20)):
        cache.absorb(at_work(version, percent, 1000))
        assert (await told(away))["progress"]["percent"] == percent


async def test_the_position_follows_other_jobs_while_the_job_itself_stays_as_it_is(
    away: httpx.AsyncClient, cache: Cache
) -> None:
    cache.absorb(a_job("a", 5, "Queued"))
    assert (await told(away))["queue_position"] == 1
    cache.absorb(a_job("before", 6, "Queued", created="2025-09-14T12:10:29Z"))
    assert (await told(away))["queue_position"] == 2
    cache.absorb(a_job("before", 7, "Running", created="2025-09-14T12:10:29Z"))
    assert (await told(away))["queue_position"] == 1


async def test_the_time_left_follows_the_clock_and_the_renders_of_others(away: httpx.AsyncClient, cache: Cache) -> None:
    cache.absorb(at_work(1, 10, 1000, told_ago_seconds=600))
    assert 0 < (await told(away))["eta_seconds"] <= 400
    cache.absorb(a_job("waits", 2, "Queued"))
    assert (await told(away, "waits"))["eta_seconds"] is None
    cache.absorb(a_job("done", 3, "Succeeded", startTime=CREATED, completionTime="2025-09-14T12:12:10Z"))
    assert (await told(away, "waits"))["eta_seconds"] == 200


async def test_a_deleted_job_is_not_told_and_a_namesake_is_told_as_itself(
    away: httpx.AsyncClient, cache: Cache
) -> None:
    cache.absorb(a_job("a", 5, "Succeeded"))
    assert (await told(away))["phase"] == "Succeeded"
    cache.forget("a", "u-a")
    assert (await away.get("/status/a")).status_code == 503  # nobody is there who could say that it is gone
    cache.absorb(a_job("a", 9, "Pending", uid="u-another"))
    assert (await told(away))["phase"] == "Pending"


@pytest.mark.parametrize("phase", list(Phase))
async def test_a_status_is_what_the_job_itself_tells_but_for_the_request(
    phase: Phase, away: httpx.AsyncClient, cache: Cache
) -> None:
    cache.absorb(a_job("a", 5, phase))
    whole = (await away.get("/jobs/a")).json()
    assert whole.pop("request")
    assert await told(away) == whole


def test_what_is_kept_of_a_record_holds_nothing_of_the_moment() -> None:
    record = remember(at_work(1, 10, 100))
    for standing in (Standing(), Standing(3, 40), Standing(2, 30), Standing(None, 10), Standing()):
        assert text_of(record, standing) == describe(record.manifest(), standing).model_dump_json()
