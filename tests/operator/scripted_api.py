"""An API server that does as a test says, for what the real one does only at a moment that no test can choose."""

import asyncio
import itertools
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.operator.worlds import NOW, Manifest

from videojob_operator.cache import Cache
from videojob_operator.client import Client
from videojob_operator.context import Context
from videojob_operator.controller import Controller
from videojob_operator.credentials import Credentials
from videojob_operator.health import Health
from videojob_operator.lists import Lists
from videojob_operator.live_settings import LiveSettings
from videojob_operator.manifests import Kind, timestamp
from videojob_operator.metrics import Metrics
from videojob_operator.notifier import Notifier
from videojob_operator.webhook_client import WebhookClient
from videojob_operator.work_queue import WorkQueue


@dataclass(frozen=True, slots=True)
class Write:
    """What the operator wrote."""

    method: str
    plural: str
    body: Manifest


@dataclass
class ScriptedApi:
    """Lists, reads and writes of one namespace.

    Attributes:
        objects: by plural and name.
        refuse: given method and plural; returns the message of a 403, or None.
        while_listing: called with the plural after a list was read from the store, before it is sent.
        lose_answer: given method and plural of a write that was made; tells whether its connection breaks then.
        writes: all that were made.
    """

    objects: dict[str, dict[str, Manifest]] = field(default_factory=lambda: {kind.value: {} for kind in Kind})
    refuse: Callable[[str, str], str | None] = lambda _method, _plural: None
    while_listing: Callable[[str], None] = lambda _plural: None
    lose_answer: Callable[[str, str], bool] = lambda _method, _plural: False
    writes: list[Write] = field(default_factory=list)
    _versions: Iterator[int] = field(default_factory=lambda: itertools.count(100))

    def put(self, kind: Kind, manifest: Manifest) -> None:
        """Have an object exist."""
        self.objects[kind.value][manifest["metadata"]["name"]] = self._versioned(manifest)

    def written(self, method: str, plural: str) -> list[Manifest]:
        """Return the bodies of such writes."""
        return [write.body for write in self.writes if (write.method, write.plural) == (method, plural)]

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request of `…/namespaces/NAMESPACE/PLURAL[/NAME[/status]]`."""
        plural, name, *_ = [*request.path.split("/namespaces/")[1].split("/")[1:], "", ""]
        if message := self.refuse(request.method, plural):
            return self._status(403, message)
        if request.method == "GET":
            return self._read(plural, name)
        body = json.loads(await request.read())
        self.writes.append(Write(request.method, plural, body))
        answer = self._write(request.method, plural, name, body)
        if self.lose_answer(request.method, plural) and request.transport:
            request.transport.abort()
        return answer

    def _read(self, plural: str, name: str) -> web.Response:
        store = self.objects.get(plural, {})
        if name:
            return web.json_response(store[name]) if name in store else self._status(404, "not found")
        listed = {"items": list(store.values()), "metadata": {"resourceVersion": str(next(self._versions))}}
        answer = web.json_response(listed)
        self.while_listing(plural)
        return answer

    def _write(self, method: str, plural: str, name: str, body: Manifest) -> web.Response:
        store = self.objects.setdefault(plural, {})
        if method == "POST":
            name = body["metadata"].setdefault("name", "generated")
            body["metadata"].setdefault("uid", f"uid-{next(self._versions)}")
        elif method == "DELETE":
            store.pop(name, None)
            return web.json_response({"kind": "Status"})
        else:
            body = _merged(store[name], body)
        store[name] = self._versioned(body)
        return web.json_response(store[name])

    def _versioned(self, manifest: Manifest) -> Manifest:
        meta = {"creationTimestamp": timestamp(NOW), **manifest["metadata"]}
        return {**manifest, "metadata": meta | {"resourceVersion": str(next(self._versions))}}

    @staticmethod
    def _status(code: int, message: str) -> web.Response:
        return web.json_response({"kind": "Status", "message": message}, status=code)


def _merged(old: Any, patch: Any) -> Any:
    """Apply a merge patch."""
    if not isinstance(patch, dict) or not isinstance(old, dict):
        return patch
    merged = old | {name: _merged(old.get(name), value) for name, value in patch.items()}
    return {name: value for name, value in merged.items() if value is not None}


@dataclass(frozen=True)
class Works:
    """The parts of an operator that work on a scripted API server; nothing has begun yet."""

    context: Context
    lists: Lists
    controller: Controller


@asynccontextmanager
async def operator_on(api: ScriptedApi, live: LiveSettings, *, at: datetime = NOW) -> AsyncIterator[Works]:
    """Put an operator together, without its watches.

    Args:
        api: the API server.
        live: its settings.
        at: the time it begins; from then on it passes as it does.
    """
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.answer)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        client = Client(Credentials(url, ssl.create_default_context(), None, "studio"), lambda _method, _code: None)
        cache, queue, may_act = Cache(), WorkQueue(jitter=lambda: 1.0), asyncio.Event()
        may_act.set()
        metrics = Metrics(cache.phases, cache.held, queue.__len__, live)
        context = Context(client, cache, queue, metrics, lambda: at + timedelta(seconds=loop.time() - began), may_act)
        sender = WebhookClient(())
        lists = Lists(context, ("studio",))
        controller = Controller(context, live, lists, health=Health(), notifier=Notifier(context, sender, None))
        try:
            yield Works(context, lists, controller)
        finally:
            await controller.stop()
            await sender.close()
            await client.close()


async def eventually(is_so: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110 - what it waits for tells nobody
            await asyncio.sleep(0.02)
    assert is_so(), what
