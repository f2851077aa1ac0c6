"""The API while Kubernetes or S3 is away from it, and two replicas side by side; all on the real cluster."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from cluster import Cluster
from tcp_relay import TcpRelay
from tests.api.conftest import OpenClient, until_seen

from videojob_api import kubernetes
from videojob_api.settings import Settings

pytestmark = pytest.mark.cluster

STALE = "x-videojob-stale-seconds"
BODY = {"prompt": "a squirrel"}


def kubeconfig_of(settings: Settings) -> dict[str, Any]:
    """The content of the API's kubeconfig."""
    assert settings.kubeconfig
    content: dict[str, Any] = yaml.safe_load(Path(settings.kubeconfig).read_text())
    return content


@pytest.fixture
async def relay(settings: Settings) -> AsyncIterator[TcpRelay]:
    """Between the API and the API server."""
    server = kubeconfig_of(settings)["clusters"][0]["cluster"]["server"]
    async with TcpRelay(urlsplit(server).port or 0) as relay:
        yield relay


@pytest.fixture
def relayed(settings: Settings, relay: TcpRelay, tmp_path: Path) -> Settings:
    """Settings that lead through the relay."""
    kubeconfig = kubeconfig_of(settings)
    kubeconfig["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{relay.port}"
    path = tmp_path / "relayed.yaml"
    path.write_text(yaml.safe_dump(kubeconfig))
    return replace(settings, kubeconfig=str(path))


async def until(condition: Callable[[], Any], what: str) -> None:
    """Wait until a condition, given as a function that makes a coroutine, holds."""
    try:
        async with asyncio.timeout(240):
            while not await condition():  # noqa: ASYNC110 - a condition is a request
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"{what} did not happen")


async def test_without_the_api_server_known_jobs_are_read_and_all_comes_back_by_itself(
    relayed: Settings, relay: TcpRelay, open_client: OpenClient, cluster: Cluster, finish: Callable[..., str]
) -> None:
    cluster.create("done")
    finish("done", b"mp4")
    cluster.create("waiting")
    async with open_client(relayed) as client:
        assert STALE not in (await client.get("/jobs")).headers
        assert (await client.get("/readyz")).status_code == 200
        await relay.cut()

        async def is_stale() -> bool:
            return STALE in (await client.get("/status/waiting")).headers

        await until(is_stale, "the notice that the API server is away")
        for path in ("/status/waiting", "/jobs/done", "/jobs", "/health", "/video/done"):
            answer = await client.get(path)
            assert answer.status_code == 200, path
            assert int(answer.headers[STALE]) > 0
        assert (await client.get("/video/done")).content == b"mp4"
        assert (await client.get("/video/waiting")).status_code == 409
        assert (await client.get("/readyz")).status_code == 200
        for method, path, body in (
            ("POST", "/generate", BODY),
            ("POST", "/jobs/waiting/cancel", None),
            ("DELETE", "/jobs/waiting", None),
            ("GET", "/status/unknown", None),
        ):
            answer = await client.request(method, path, json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ClusterUnavailable"), path
            assert int(answer.headers["retry-after"]) > 0
        cluster.create("made-meanwhile")
        cluster.delete("done")
        await relay.restore()

        async def is_in_step() -> bool:
            answer = await client.get("/jobs")
            names = {job["job_id"] for job in answer.json()["jobs"]}
            return names == {"waiting", "made-meanwhile"} and STALE not in answer.headers

        await until(is_in_step, "the catching up")
        assert (await client.post("/generate", json=BODY)).status_code == 200


async def test_without_s3_only_content_is_unavailable(
    settings: Settings, open_client: OpenClient, cluster: Cluster, finish: Callable[..., str]
) -> None:
    cluster.create("done")
    finish("done", b"mp4")
    async with TcpRelay(urlsplit(settings.s3_endpoint or "").port or 0) as s3_relay:
        away = replace(settings, s3_endpoint=f"http://127.0.0.1:{s3_relay.port}")
        async with open_client(away) as client:
            assert (await client.get("/video/done")).content == b"mp4"
            assert (await client.get("/readyz")).status_code == 200
            await s3_relay.cut()
            answer = await client.get("/video/done")
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "StorageUnavailable")
            assert int(answer.headers["retry-after"]) > 0
            for path in ("/status/done", "/jobs", "/health", "/readyz"):
                assert (await client.get(path)).status_code == 200
            assert (await client.post("/generate", json=BODY)).status_code == 200
            await s3_relay.restore()
            assert (await client.get("/video/done")).content == b"mp4"


async def test_two_replicas_in_turn_give_the_same_answers(
    settings: Settings, open_client: OpenClient, cluster: Cluster
) -> None:
    async with open_client(settings) as one, open_client(settings) as other:
        for client in (one, other):
            assert (await client.get("/jobs")).json()["jobs"] == []
        for number in range(20):
            writer, reader = (one, other) if number % 2 else (other, one)
            job_id = (await writer.post("/generate", json=BODY)).json()["job_id"]
            assert (await reader.get(f"/status/{job_id}")).status_code == 200
            assert (await writer.post(f"/jobs/{job_id}/cancel")).status_code == 200
            assert (await reader.delete(f"/jobs/{job_id}")).status_code == 204
            assert (await reader.get(f"/status/{job_id}")).status_code == 404
            await until_seen(writer._transport.app.state.services.jobs, cluster)  # type: ignore[attr-defined]
            assert (await writer.get(f"/status/{job_id}")).status_code == 404


async def test_an_expired_watch_lists_again_and_drops_what_is_gone(
    settings: Settings, open_client: OpenClient, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes, "WATCH_SECONDS", 1)
    cluster.create("gone")
    async with open_client(settings) as client:
        informer = client._transport.app.state.services.jobs._informer  # type: ignore[attr-defined]
        assert len((await client.get("/jobs")).json()["jobs"]) == 1
        # What a namesake's end looks like to a replica that slept through it.
        informer._version = "1"
        cluster.delete("gone")
        cluster.create("new")

        async def is_in_step() -> bool:
            return [job["job_id"] for job in (await client.get("/jobs")).json()["jobs"]] == ["new"]

        await until(is_in_step, "the new list")
