"""Startup, liveness and readiness probes over HTTP or TCP, with the kubelet's rules.

The startup probe holds the others back until it has succeeded. A container without a readiness probe is ready once it
has started. https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Self

import aiohttp

from videojob_local.node.manifest import Manifest
from videojob_local.node.pod_run import ContainerRecord


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe.

    Attributes:
        url: what to GET; None = only connect to host and port.
        host: address to connect to.
        port: port to connect to.
        headers: of the GET.
        delay_seconds: pause before the first try.
        period_seconds: from one try to the next.
        timeout_seconds: of one try.
        successes: how many in a row until it counts as a success.
        failures: how many in a row until it counts as a failure.
    """

    url: str | None
    host: str
    port: int
    headers: tuple[tuple[str, str], ...]
    delay_seconds: float
    period_seconds: float
    timeout_seconds: float
    successes: int
    failures: int

    @classmethod
    def parse(cls, spec: Manifest, container: Manifest, address: str) -> Self:
        """Read a probe of the kinds httpGet and tcpSocket; its port may be the name of a port of the container."""
        action = spec.get("httpGet") or spec["tcpSocket"]
        ports = {port.get("name"): port["containerPort"] for port in container.get("ports", [])}
        host, port = action.get("host") or address, int(ports.get(action["port"], action["port"]))
        path = action.get("path", "/")
        url = f"{action.get('scheme', 'HTTP').lower()}://{host}:{port}/{path.removeprefix('/')}"
        return cls(
            url=url if "httpGet" in spec else None,
            host=host,
            port=port,
            headers=tuple((header["name"], header["value"]) for header in action.get("httpHeaders", [])),
            delay_seconds=spec.get("initialDelaySeconds", 0),
            period_seconds=spec.get("periodSeconds", 10),
            timeout_seconds=spec.get("timeoutSeconds", 1),
            successes=spec.get("successThreshold", 1),
            failures=spec.get("failureThreshold", 3),
        )


async def try_probe(probe: Probe) -> str | None:
    """Try once; returns what was wrong, or None."""
    try:
        async with asyncio.timeout(probe.timeout_seconds):
            return await _get(probe, probe.url) if probe.url else await _connect(probe)
    except TimeoutError:
        return f"no answer within {probe.timeout_seconds} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return str(error) or type(error).__name__


async def _get(probe: Probe, url: str) -> str | None:
    connector = aiohttp.TCPConnector(ssl=False, force_close=True)  # the kubelet does not verify certificates either
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.get(url, headers=probe.headers, allow_redirects=False) as answer,
    ):
        return None if 200 <= answer.status < 400 else f"HTTP probe failed with statuscode: {answer.status}"


async def _connect(probe: Probe) -> str | None:
    _, writer = await asyncio.open_connection(probe.host, probe.port)
    writer.close()
    await writer.wait_closed()
    return None


async def verdicts(probe: Probe) -> AsyncIterator[tuple[bool, str]]:
    """Yield (good, what was wrong) whenever enough tries in a row agree; for ever."""
    good, streak = None, 0
    await asyncio.sleep(probe.delay_seconds)
    while True:
        wrong = await try_probe(probe)
        streak = streak + 1 if good == (wrong is None) else 1
        good = wrong is None
        if streak >= (probe.successes if good else probe.failures):
            yield good, wrong or ""
        await asyncio.sleep(probe.period_seconds)


class HealthWatch:
    """Keeps `started` and `ready` of one running container true to its probes, and tells when it must be restarted.

    Attributes:
        unhealthy: resolves to a sentence once a startup or liveness probe has failed.
    """

    def __init__(
        self, container: Manifest, record: ContainerRecord, address: str, publish: Callable[[], Awaitable[None]]
    ) -> None:
        self._probes = {
            kind: Probe.parse(container[f"{kind}Probe"], container, address)
            for kind in ("startup", "liveness", "readiness")
            if f"{kind}Probe" in container
        }
        self._record = record
        self._publish = publish
        self.unhealthy: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        """Set what holds before the first try."""
        self._record.started = "startup" not in self._probes
        self._record.ready = self._record.started and "readiness" not in self._probes

    async def watch(self) -> None:
        """Probe until cancelled."""
        if not await self._wait_for_start():
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_liveness())
            group.create_task(self._watch_readiness())

    async def _wait_for_start(self) -> bool:
        if "startup" not in self._probes:
            return True
        async for good, wrong in verdicts(self._probes["startup"]):
            if not good:
                self.unhealthy.set_result(f"startup probe failed: {wrong}")
                return False
            self._record.started = True
            self._record.ready = "readiness" not in self._probes
            await self._publish()
            break
        return True

    async def _watch_liveness(self) -> None:
        if "liveness" not in self._probes:
            return
        async for good, wrong in verdicts(self._probes["liveness"]):
            if not good:
                self.unhealthy.set_result(f"liveness probe failed: {wrong}")
                return

    async def _watch_readiness(self) -> None:
        if "readiness" not in self._probes:
            return
        async for good, _ in verdicts(self._probes["readiness"]):
            if self._record.ready != good:
                self._record.ready = good
                await self._publish()
