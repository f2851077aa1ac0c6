"""Kopf as an informer, and nothing more: watch, reconnect, bookmarks, credentials, signals.

Its event handlers only refresh the cache and put a key into the queue. Kopf's other handler kinds, storages and
finalizers would write to each VideoJob, the prompt included, and are switched off.
"""

import asyncio
import math
from typing import Any

import kopf
from kopf._cogs.configs.diffbase import DiffBaseStorage
from kopf._cogs.configs.progress import ProgressStorage

from videojob import resource
from videojob_operator.backoff import EndlessBackoff
from videojob_operator.client import SELECTORS
from videojob_operator.context import Context
from videojob_operator.controller import Controller
from videojob_operator.credentials import Credentials
from videojob_operator.health import WATCH_SECONDS, Health
from videojob_operator.kopf_requests import WatchFromOurLists
from videojob_operator.lists import Lists
from videojob_operator.manifests import Kind

_GROUPS = {
    Kind.VIDEO_JOBS: (resource.GROUP, resource.VERSION),
    Kind.JOBS: ("batch", "v1"),
    Kind.PODS: ("", "v1"),
}

SPARE_CONNECTIONS = 16
"""Beside one for each watch, which has it for as long as it lives: one that waits for another's sees nothing meanwhile.
Kopf's own session has no limit: 1,167 sockets were seen in a burst."""


LOGIN_SECONDS = 5.0
"""From one login to the next: Kopf asks for one after each 401, at once, and a new session costs a TLS handshake."""


class _Pace:
    """Keeps logins apart: an API server that knows nobody for a while is not asked in a hot loop."""

    def __init__(self) -> None:
        self._last = -math.inf

    async def keep(self) -> None:
        """Wait until the next login may be made."""
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._last + LOGIN_SECONDS - clock()))
        self._last = clock()


class _NoDiffBase(DiffBaseStorage):
    """Keep no last-handled copy of the object: it would double every prompt in an annotation."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None: ...


class _NoProgress(ProgressStorage):
    """Keep no handler progress: there are only event handlers."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None: ...

    def purge(self, **_: Any) -> None: ...

    def touch(self, **_: Any) -> None: ...

    def clear(self, *, essence: Any) -> Any:
        return essence


def configure(settings: kopf.OperatorSettings) -> None:
    """Set what deviates from Kopf's defaults."""
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    settings.scanning.disabled = True  # no cluster-wide lists: a namespaced Role is enough
    settings.peering.standalone = True
    settings.posting.loggers = False  # we post Events ourselves
    settings.queueing.idle_timeout = 0.2  # frees the task of an object: 40 MB less at a restart with 10,000
    settings.networking.error_backoffs = EndlessBackoff()
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.watching.server_timeout = WATCH_SECONDS  # goes on from the last version seen, without a new list
    settings.watching.client_timeout = WATCH_SECONDS + 60
    settings.watching.reconnect_backoff = 0.5
    settings.watching.initial_streaming = True  # no list of Kopf's own; see kopf_requests
    for kind, (group, version) in _GROUPS.items():
        if SELECTORS[kind]:
            settings.watching.label_selectors[group, version, kind.value] = SELECTORS[kind]


def build_registry(
    credentials: Credentials, context: Context, controller: Controller, lists: Lists, health: Health
) -> kopf.OperatorRegistry:
    """Register the handlers that feed cache and queue."""
    registry = kopf.OperatorRegistry()
    watch_from_our_lists = WatchFromOurLists(lists, health)

    @kopf.on.startup(registry=registry)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings)
        await controller.start()

    @kopf.on.cleanup(registry=registry)
    async def stop(**_: Any) -> None:
        await controller.stop()

    pace = _Pace()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        await pace.keep()
        session = credentials.session(
            connections=lists.watches + SPARE_CONNECTIONS,
            timeout_seconds=WATCH_SECONDS + 60,
            middlewares=(watch_from_our_lists,),
        )
        return kopf.AiohttpSession(
            server=credentials.server, aiohttp_session=session, default_namespace=credentials.namespace
        )

    for kind in Kind:
        _feed(registry, kind, context)
    return registry


def _feed(registry: kopf.OperatorRegistry, kind: Kind, context: Context) -> None:
    """Register the handler of one kind."""

    @kopf.on.event(*_GROUPS[kind], kind.value, registry=registry)
    async def seen(event: Any, **_: Any) -> None:
        take_in = context.forget if event["type"] == "DELETED" else context.learn
        take_in(kind, event["object"])
