"""The API server's client, under the node's own identity: the only module here that talks to Kubernetes.

Relies on the client certificate `system:node:NAME`: the Node authorizer then hands out Secrets, ConfigMaps and tokens
of the node's own Pods and nothing else. Calls are repeated for as long as the server is away: a node has nothing better
to do than to wait for it.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from videojob_local.node.errors import ApiError
from videojob_local.node.manifest import Manifest

log = logging.getLogger(__name__)

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

_CALL_TIMEOUT = aiohttp.ClientTimeout(total=10)
_WATCH_SECONDS = 290
_WATCH_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_WATCH_SECONDS + 10)
# aiohttp refuses lines of more than twice its buffer, and a Pod is one line of the watch.
_LINE_BYTES = 2**22
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
_WATCH_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Listed:
    """All objects there are now; whatever is not among them is gone."""

    items: list[Manifest]


@dataclass(frozen=True, slots=True)
class Changed:
    """An object was made or changed."""

    item: Manifest


@dataclass(frozen=True, slots=True)
class Deleted:
    """An object is gone."""

    item: Manifest


WatchEvent = Listed | Changed | Deleted


class ApiClient:
    """JSON calls with verified TLS and a client certificate. Must be made inside a running event loop."""

    def __init__(self, server: str, ca: Path, cert: Path, key: Path) -> None:
        tls = ssl.create_default_context(cafile=ca)
        tls.load_cert_chain(cert, key)
        self.server = server
        self._http = aiohttp.ClientSession(server, connector=aiohttp.TCPConnector(ssl=tls, limit=16))

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def call(
        self,
        method: str,
        path: str,
        body: Manifest | None = None,
        *,
        kind: str = JSON,
        query: Mapping[str, str] | None = None,
    ) -> Manifest:
        """Make one call, again and again while the server is away or overloaded.

        Raises:
            ApiError: an answer of 400 or more that repeating will not change.
        """
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._once(method, path, body, kind, query or {})
            except ApiError as error:
                if error.status != 429 and error.status < 500:
                    raise
                failure: Exception = error
            except (aiohttp.ClientError, TimeoutError) as error:
                failure = error
            level = logging.WARNING if pause == _FIRST_PAUSE_SECONDS else logging.DEBUG  # an outage is told once a call
            log.log(level, "%s %s: %s; trying until it works", method, path, str(failure) or type(failure).__name__)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _once(
        self, method: str, path: str, body: Manifest | None, kind: str, query: Mapping[str, str]
    ) -> Manifest:
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind}
        async with self._http.request(
            method, path, params=query, data=data, headers=headers, timeout=_CALL_TIMEOUT
        ) as answer:
            if answer.status >= 400:
                raise ApiError(answer.status, _reason(await answer.text()))
            result: Manifest = await answer.json()
            return result

    async def watch(self, path: str, **query: str) -> AsyncIterator[WatchEvent]:
        """Yield the full list and then each change, for ever; when the stream ends, begin with the list again."""
        while True:
            try:
                listed = await self.call("GET", path, query=query)
                yield Listed(listed["items"])
                async for event in self._stream(path, query, listed["metadata"]["resourceVersion"]):
                    yield event
            except (aiohttp.ClientError, ApiError, TimeoutError, ValueError) as error:
                log.warning("watch of %s: %r; listing again", path, error)
                await asyncio.sleep(_WATCH_PAUSE_SECONDS)

    async def _stream(self, path: str, query: dict[str, str], version: str) -> AsyncIterator[WatchEvent]:
        params = {**query, "watch": "1", "resourceVersion": version, "timeoutSeconds": str(_WATCH_SECONDS)}
        async with self._http.get(path, params=params, read_bufsize=_LINE_BYTES, timeout=_WATCH_TIMEOUT) as answer:
            if answer.status >= 400:
                raise ApiError(answer.status, _reason(await answer.text()))
            async for line in answer.content:
                yield _event(json.loads(line))


def _event(event: Any) -> WatchEvent:
    item = event["object"]
    if event["type"] == "ERROR":
        raise ApiError(item.get("code", 410), item.get("message", ""))
    return Deleted(item) if event["type"] == "DELETED" else Changed(item)


def _reason(text: str) -> str:
    """What a Status object says, else the beginning of the text."""
    try:
        return str(json.loads(text)["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return text[:500]
