"""What Kopf is told and given: pauses that never end, and a session in which every watch finds a connection."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import cast

import kopf
import pytest
from kopf._core.intents.causes import Activity
from tests.operator.scripted_api import ScriptedApi, Works, operator_on

from videojob_operator import informer
from videojob_operator.credentials import Credentials
from videojob_operator.health import Health
from videojob_operator.informer import build_registry, configure
from videojob_operator.lists import Lists
from videojob_operator.live_settings import LiveSettings
from videojob_operator.manifests import Kind

A_DAY_SECONDS = 86_400
CREDENTIALS = Credentials("http://localhost:1", ssl.create_default_context(), None, "studio")


@pytest.fixture
def settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    configure(settings)
    return settings


def test_kopf_never_stops_to_ask_an_api_server_that_is_away(settings: kopf.OperatorSettings) -> None:
    pauses = settings.networking.error_backoffs
    tries = list(islice(iter(pauses), 20_000))
    assert sum(tries) > A_DAY_SECONDS
    assert max(tries) < 15
    assert next(iter(pauses)) < 1, "each request begins with short pauses again"


def login_of(works: Works, lists: Lists) -> Callable[[], Awaitable[kopf.AiohttpSession]]:
    """Return what Kopf calls before its first request, and after each 401."""
    registry = build_registry(CREDENTIALS, works.context, works.controller, lists, Health())
    (login,) = registry._activities.get_handlers(Activity.AUTHENTICATION)
    return cast("Callable[[], Awaitable[kopf.AiohttpSession]]", login.fn)


async def test_every_watch_of_forty_namespaces_has_a_connection_of_its_own(live: LiveSettings) -> None:
    namespaces = tuple(f"studio-{number}" for number in range(40))
    async with operator_on(ScriptedApi(), live) as works:
        login = login_of(works, Lists(works.context, namespaces))
        session = (await login()).aiohttp_session
        connector = session.connector
        await session.close()
    assert connector is not None
    assert connector.limit > len(namespaces) * len(Kind)


async def test_a_login_that_follows_another_waits(live: LiveSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer, "LOGIN_SECONDS", 86_400)
    async with operator_on(ScriptedApi(), live) as works:
        login = login_of(works, works.lists)
        await (await login()).aiohttp_session.close()
        again = asyncio.ensure_future(login())
        await asyncio.wait({again}, timeout=0.2)
        assert not again.done()
        again.cancel()
