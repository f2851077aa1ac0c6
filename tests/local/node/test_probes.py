import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any, Self

import pytest
from aiohttp import web

from videojob_local.node.pod_run import ContainerRecord
from videojob_local.node.probes import HealthWatch, Probe, try_probe

FAST = {"periodSeconds": 0.02, "timeoutSeconds": 1}


class Service:
    """An HTTP server whose answer the test decides."""

    def __init__(self) -> None:
        self.status = 200
        self.port = 0
        self.headers: dict[str, str] = {}

    async def answer(self, request: web.Request) -> web.Response:
        self.headers = dict(request.headers)
        if request.path == "/slow":
            await asyncio.sleep(5)
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    application = web.Application()
    application.router.add_get("/{path:.*}", service.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    service.port = runner.addresses[0][1]
    yield service
    await runner.cleanup()


def http_probe(port: int | str, path: str = "/healthz", **fields: Any) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": port}, **FAST, **fields}


def parsed(spec: dict[str, Any], container: dict[str, Any] | None = None) -> Probe:
    return Probe.parse(spec, container or {}, "127.0.0.1")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_port_may_be_named_and_numbers_default_to_kubernetes_own() -> None:
    probe = parsed(
        {"httpGet": {"path": "readyz", "port": "http"}}, {"ports": [{"name": "http", "containerPort": 8000}]}
    )
    assert probe.url == "http://127.0.0.1:8000/readyz"
    assert (probe.period_seconds, probe.timeout_seconds, probe.successes, probe.failures) == (10, 1, 1, 3)


@pytest.mark.parametrize("status", [200, 204, 302, 399])
async def test_an_answer_below_400_is_good(service: Service, status: int) -> None:
    service.status = status
    assert await try_probe(parsed(http_probe(service.port))) is None


@pytest.mark.parametrize("status", [404, 500, 503])
async def test_an_answer_from_400_on_is_bad(service: Service, status: int) -> None:
    service.status = status
    assert await try_probe(parsed(http_probe(service.port))) == f"HTTP probe failed with statuscode: {status}"


async def test_headers_are_sent(service: Service) -> None:
    action = {"port": service.port, "httpHeaders": [{"name": "X-Probe", "value": "yes"}]}
    assert await try_probe(parsed({"httpGet": action, **FAST})) is None
    assert service.headers["X-Probe"] == "yes"


async def test_silence_is_bad(service: Service) -> None:
    probe = parsed(http_probe(service.port, "/slow", timeoutSeconds=0.1))
    assert await try_probe(probe) == "no answer within 0.1 s"


async def test_a_port_that_nobody_listens_on_is_bad(service: Service) -> None:
    port = free_port()
    assert await try_probe(parsed(http_probe(port))) is not None
    assert await try_probe(parsed({"tcpSocket": {"port": port}, **FAST})) is not None
    assert await try_probe(parsed({"tcpSocket": {"port": service.port}, **FAST})) is None


class Watched:
    """A container under watch."""

    def __init__(self, **probes: dict[str, Any]) -> None:
        self.record = ContainerRecord()
        self.published: list[tuple[bool, bool]] = []
        self.changed = asyncio.Event()
        self.watch = HealthWatch({"name": "main", **probes}, self.record, "127.0.0.1", self.publish)
        self.watch.begin()
        self.task = asyncio.create_task(self.watch.watch())

    async def publish(self) -> None:
        self.published.append((self.record.started, self.record.ready))
        self.changed.set()

    async def becomes(self, *, started: bool, ready: bool) -> None:
        async with asyncio.timeout(20):
            while (self.record.started, self.record.ready) != (started, ready):
                self.changed.clear()
                await self.changed.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_without_probes_a_container_is_ready_once_it_runs() -> None:
    async with Watched() as watched:
        assert (watched.record.started, watched.record.ready) == (True, True)


async def test_readiness_comes_and_goes_with_the_probe(service: Service) -> None:
    service.status = 503
    async with Watched(readinessProbe=http_probe(service.port, failureThreshold=2)) as watched:
        assert (watched.record.started, watched.record.ready) == (True, False)
        service.status = 200
        await watched.becomes(started=True, ready=True)
        service.status = 503
        await watched.becomes(started=True, ready=False)
        assert not watched.watch.unhealthy.done()
        assert watched.published == [(True, True), (True, False)]


async def test_a_failed_liveness_probe_asks_for_a_restart(service: Service) -> None:
    async with Watched(livenessProbe=http_probe(service.port)) as watched:
        service.status = 500
        async with asyncio.timeout(20):
            sentence = await watched.watch.unhealthy
        assert sentence == "liveness probe failed: HTTP probe failed with statuscode: 500"


async def test_a_startup_probe_holds_the_others_back(service: Service) -> None:
    service.status = 503
    probe = http_probe(service.port)
    slow = http_probe(service.port, failureThreshold=1000)
    async with Watched(
        startupProbe=slow, livenessProbe={**probe, "failureThreshold": 1}, readinessProbe=probe
    ) as watched:
        await asyncio.sleep(0.2)
        assert (watched.record.started, watched.record.ready) == (False, False)
        assert not watched.watch.unhealthy.done()
        service.status = 200
        await watched.becomes(started=True, ready=True)


async def test_a_startup_that_takes_too_long_asks_for_a_restart(service: Service) -> None:
    service.status = 503
    async with Watched(startupProbe=http_probe(service.port, failureThreshold=2)) as watched:
        async with asyncio.timeout(20):
            assert (await watched.watch.unhealthy).startswith("startup probe failed")
