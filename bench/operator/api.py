"""A plain asynchronous client of the API server: what the bare figures are made with, and all load."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Self

import aiohttp

Manifest = dict[str, Any]
AT_ONCE = 32
"""As many requests as the operator has workers, so that neither has an advantage."""

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
VIDEO_JOBS = "/apis/videojob.dev/v1alpha1/namespaces/{}/videojobs"
JOBS = "/apis/batch/v1/namespaces/{}/jobs"
PODS = "/api/v1/namespaces/{}/pods"


class Api:
    """The client; an asynchronous context manager.

    Args:
        server: URL of the API server.
        ca: its authority.
        certificate: the administrator's certificate and key.
    """

    def __init__(self, server: str, ca: Path, certificate: tuple[Path, Path]) -> None:
        self._server = server
        self._tls = ssl.create_default_context(cafile=ca)
        self._tls.load_cert_chain(*certificate)

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=AT_ONCE * 2, ssl=self._tls)
        self._http = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=300))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def call(self, method: str, path: str, **arguments: Any) -> Manifest:
        """Make one request, which must succeed."""
        async with self._http.request(method, self._server + path, **arguments) as answer:
            text = await answer.text()
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]}")
            found: Manifest = json.loads(text)
            return found

    async def patch(self, path: str, change: Manifest) -> Manifest:
        """Merge a change into an object."""
        return await self.call("PATCH", path, data=json.dumps(change), headers=MERGE_PATCH)

    async def items(self, path: str) -> list[Manifest]:
        """List a collection, page by page."""
        found: list[Manifest] = []
        parameters = {"limit": "500"}
        while True:
            page = await self.call("GET", path, params=parameters)
            found += page["items"]
            if not page["metadata"].get("continue"):
                return found
            parameters["continue"] = page["metadata"]["continue"]

    async def empty(self, path: str) -> None:
        """Delete all objects of a collection."""
        await self.call("DELETE", path, params={"propagationPolicy": "Background", "gracePeriodSeconds": "0"})
        while await self.items(path):  # noqa: ASYNC110 - the API server has no event for it
            await asyncio.sleep(0.2)

    async def watch(self, path: str) -> AsyncIterator[Manifest]:
        """Yield the events of a collection, from what is there on."""
        parameters = {"watch": "true", "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        parameters["allowWatchBookmarks"] = "true"
        async with self._http.get(
            self._server + path, params=parameters, timeout=aiohttp.ClientTimeout(total=None)
        ) as answer:
            answer.raise_for_status()
            pending = b""
            async for chunk in answer.content.iter_any():
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    yield json.loads(line)


class Seen:
    """When objects of a collection were first seen to meet a condition, by a watch.

    Args:
        api: is asked.
        path: of the collection.
        condition: to meet.
        named: under which name an object is noted.
    """

    def __init__(
        self,
        api: Api,
        path: str,
        condition: Callable[[Manifest], bool] = lambda _: True,
        named: Callable[[Manifest], str] = lambda manifest: str(manifest["metadata"].get("name")),
    ) -> None:
        self._api = api
        self._path = path
        self._condition = condition
        self._named = named
        self.at: dict[str, float] = {}

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def wait_for(self, names: Iterable[str], seconds: float = 1200) -> float:
        """Wait until all of these were seen; return when the last one was."""
        wanted = set(names)
        deadline = time.monotonic() + seconds
        while missing := wanted - self.at.keys():
            if self._task.done():
                self._task.result()
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{len(missing)} of {len(wanted)} were not seen within {seconds:.0f} s in {self._path}"
                )
            await asyncio.sleep(0.1)
        return max(self.at[name] for name in wanted)

    async def _follow(self) -> None:
        while True:  # the API server ends watches of clients that are slow for a moment
            await self._watch_once()

    async def _watch_once(self) -> None:
        async for event in self._api.watch(self._path):
            if event["type"] not in {"ADDED", "MODIFIED"}:
                continue
            name = self._named(event["object"])
            if name not in self.at and self._condition(event["object"]):
                self.at[name] = time.monotonic()


async def all_at_once(calls: Iterable[Callable[[], Awaitable[Any]]], at_once: int = AT_ONCE) -> float:
    """Make many calls, so many at a time; return the seconds they took."""
    began = time.monotonic()
    waiting = iter(calls)

    async def work() -> None:
        for call in waiting:
            await call()

    await asyncio.gather(*(work() for _ in range(at_once)))
    return time.monotonic() - began


async def steadily(calls: Iterable[Callable[[], Awaitable[Any]]], per_second: float) -> None:
    """Make calls at a steady rate, each when its time has come, whether or not the last one is done."""
    began = time.monotonic()
    tasks = []
    for number, call in enumerate(calls):
        await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
        tasks.append(asyncio.ensure_future(call()))
    await asyncio.gather(*tasks)
