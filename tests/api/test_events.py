"""Jobs followed by server-sent events, on the real API server."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import httpx
import psutil
import pytest
from cluster import Cluster
from tests.api.conftest import Server

from videojob_api import events

pytestmark = pytest.mark.cluster

MIB = 1024 * 1024
LISTENERS = 200


class Event(NamedTuple):
    """One event, or one comment."""

    name: str
    id: str
    data: dict[str, Any]


async def read(answer: httpx.Response) -> AsyncIterator[Event]:
    """The events of an answer."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name or "comment"] = value
        elif fields:
            yield Event(fields.get("event", "comment"), fields.get("id", ""), json.loads(fields.get("data", "{}")))
            fields = {}


@contextlib.asynccontextmanager
async def following(url: str, job_id: str, last_id: str = "") -> AsyncIterator[AsyncIterator[Event]]:
    """Follow a job at the running API."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with (
        httpx.AsyncClient(base_url=url, timeout=240) as client,
        client.stream("GET", f"/jobs/{job_id}/events", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield read(answer)


async def test_a_job_is_followed_to_its_end(
    live_url: str, cluster: Cluster, job_id: str, finish: Callable[..., str]
) -> None:
    progress = {
        "stage": "Denoising",
        "percent": 40,
        "etaSeconds": 9,
        "podName": "p",
        "updatedTime": "2026-01-01T00:00:00Z",
    }
    async with following(live_url, job_id) as told:
        first = await anext(told)
        assert (first.name, first.data["status"], first.data["queue_position"]) == ("status", "pending", 1)
        cluster.patch(job_id, {"status": {"phase": "Running", "podName": "p", "progress": progress}}, "/status")
        second = await anext(told)
        assert (second.data["phase"], second.data["progress"]["percent"]) == ("Running", 40)
        assert second.data["queue_position"] is None
        finish(job_id, b"mp4")
        rest = [event async for event in told]
        assert [event.data["status"] for event in rest] == ["completed"]
        assert rest[0].data["video_url"] == f"/video/{job_id}"
    async with httpx.AsyncClient() as client:
        again = await client.get(f"{live_url}/jobs/{job_id}/events", headers={"Last-Event-ID": rest[0].id})
    assert (again.status_code, again.content) == (204, b"")


async def test_who_comes_back_is_told_only_what_is_new(live_url: str, cluster: Cluster, job_id: str) -> None:
    async with following(live_url, job_id) as told:
        seen = (await anext(told)).id
    async with following(live_url, job_id, seen) as told:
        cluster.patch(job_id, {"status": {"phase": "Starting"}}, "/status")
        assert (await anext(told)).data["phase"] == "Starting"
    async with following(live_url, job_id, seen) as told:
        assert (await anext(told)).data["phase"] == "Starting"


async def test_one_who_waits_hears_of_the_line(live_url: str, cluster: Cluster) -> None:
    for name in ("first", "second"):
        cluster.create(name)
    async with httpx.AsyncClient(base_url=live_url, timeout=240) as client:
        assert (await client.get("/jobs")).status_code == 200  # answered once both are known
    async with following(live_url, "second") as told:
        assert (await anext(told)).data["queue_position"] == 2
        cluster.delete("first")
        assert (await anext(told)).data["queue_position"] == 1


async def test_a_job_that_is_deleted_ends_the_events(live_url: str, cluster: Cluster, job_id: str) -> None:
    async with following(live_url, job_id) as told:
        await anext(told)
        cluster.delete(job_id)
        assert [event.name async for event in told] == ["deleted"]
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{live_url}/jobs/{job_id}/events")).status_code == 404


async def test_while_nothing_happens_there_is_a_heartbeat(
    api: httpx.AsyncClient, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heartbeat is what tells a proxy that the connection is alive."""
    from videojob_api.routes import events as routes  # noqa: PLC0415 - its constant is changed here

    assert events.HEARTBEAT_SECONDS < 60
    monkeypatch.setattr(routes, "HEARTBEAT_SECONDS", 0.01)
    feed = api._transport.app.state.services.feed  # type: ignore[attr-defined]
    response = await routes.stream(feed, job_id, None)
    sent: list[bytes] = []
    enough = asyncio.Event()

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))
        if len(sent) > 4:
            enough.set()

    async def receive() -> Any:
        await enough.wait()
        return {"type": "http.disconnect"}

    await response({"type": "http", "method": "GET", "asgi": {}}, receive, send)
    assert sum(piece.startswith(b": ping") for piece in sent) >= 2


async def test_many_listeners_share_one_watch_and_little_memory(server: Server, cluster: Cluster, job_id: str) -> None:
    """What a thousand take is measured by bench/api/events.py."""
    process = psutil.Process(server.process.pid)
    upstream = urlsplit_port(cluster)

    def watches() -> int:
        return sum(
            c.status == "ESTABLISHED" and c.raddr and c.raddr.port == upstream for c in process.net_connections()
        )

    async with contextlib.AsyncExitStack() as stack:
        listeners = []
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=server.url, timeout=120, limits=httpx.Limits(max_connections=None))
        )
        assert (await client.get("/health")).status_code == 200
        before, connections = process.memory_info().rss, watches()
        for _ in range(LISTENERS):
            answer = await stack.enter_async_context(client.stream("GET", f"/jobs/{job_id}/events"))
            told = read(answer)
            await anext(told)
            listeners.append(told)
        assert watches() <= connections
        cluster.patch(job_id, {"status": {"phase": "Cancelled"}}, "/status")
        ended = await asyncio.gather(*[anext(told) for told in listeners])
        assert {event.data["phase"] for event in ended} == {"Cancelled"}
        assert process.memory_info().rss - before < 60 * MIB


def urlsplit_port(cluster: Cluster) -> int:
    """The port of the API server."""
    return int(cluster.stack.control_plane.server.rsplit(":", 1)[1])


async def test_a_request_to_stop_ends_the_events_at_once(server: Server, job_id: str) -> None:
    async with following(server.url, job_id) as told:
        await anext(told)
        server.process.terminate()
        assert await asyncio.to_thread(server.process.wait, 60) == 0
