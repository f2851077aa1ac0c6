"""Who may pass the gate, as far as it can be told without a cluster."""

import asyncio
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from tests.api.conftest import OpenClient

from videojob.errors import ConfigurationError
from videojob_api.access import decisions
from videojob_api.access.callers import Caller
from videojob_api.access.decisions import STRANGERS_AT_ONCE, Decisions
from videojob_api.access.gate import is_open
from videojob_api.access.keys import KeyHolders, new_key
from videojob_api.access.rates import Rates
from videojob_api.access.verbs import verbs_of
from videojob_api.app import create_app
from videojob_api.errors import ClusterUnavailable, RateLimited, Unauthenticated
from videojob_api.settings import Authentication, Settings

VERBS = {
    "POST /generate": ("create",),
    "GET /status/{job_id}": ("get",),
    "GET /jobs": ("list",),
    "GET /jobs/{job_id}": ("get",),
    "POST /jobs/{job_id}/cancel": ("patch",),
    "DELETE /jobs/{job_id}": ("delete",),
    "GET /jobs/{job_id}/events": ("watch",),
    "GET /video/{job_id}": ("get",),
    "POST /v1/videos": ("create",),
    "POST /v1/videos/{video_id}/remix": ("get", "create"),
    "GET /v1/videos/{video_id}": ("get",),
    "GET /v1/videos": ("list",),
    "DELETE /v1/videos/{video_id}": ("delete",),
    "GET /v1/videos/{video_id}/content": ("get",),
    "GET /v1/videos/{video_id}/events": ("watch",),
    "GET /v1/models": (),
    "GET /models": (),
    "GET /health": ("list",),
}


class Clock:
    """A time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_every_guarded_route_needs_the_verb_of_kubernetes_that_it_stands_for(dead_settings: Settings) -> None:
    document = create_app(dead_settings).openapi()
    routes = {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method in operations
        if not is_open(path)
    }
    assert routes == VERBS.keys()
    for route, verbs in VERBS.items():
        method, _, path = route.partition(" ")
        assert verbs_of(method, re.sub(r"\{\w+\}", "a-job", path)) == verbs


@pytest.mark.parametrize(
    "path", ["/status/healthz", "/docsx", "/page", "//healthz", "/metrics/", "/PAGE/main.js", "/x"]
)
def test_only_the_paths_of_the_list_are_open(path: str) -> None:
    assert not is_open(path)


def test_a_bucket_holds_a_minutes_worth_and_fills_up_steadily(clock: Clock) -> None:
    rates, caller = Rates(clock), Caller("somebody", 6)
    for _ in range(6):
        rates.count(caller)
    with pytest.raises(RateLimited, match="at most 6 requests a minute") as refused:
        rates.count(caller)
    assert refused.value.headers == {"Retry-After": "10"}
    rates.count(Caller("another", 6))
    clock.now += 10
    rates.count(caller)
    with pytest.raises(RateLimited):
        rates.count(caller)
    for _ in range(1000):
        rates.count(Caller("unlimited", 0))


@pytest.fixture
def keys_file(tmp_path: Path) -> Callable[..., Path]:
    """Write the file of keys, as a mounted Secret is written: whole, and in the place of the old one."""

    def write(*keys: dict[str, object]) -> Path:
        (tmp_path / "new.json").write_text(json.dumps({"keys": keys}))
        return (tmp_path / "new.json").rename(tmp_path / "keys.json")

    return write


def drawn(name: str, namespace: str = "studio", rate: int | None = None) -> tuple[str, dict[str, object]]:
    key, entry = new_key(name, namespace, rate)
    return key, json.loads(entry)


async def test_a_key_leads_to_its_name_its_namespace_and_its_rate(keys_file: Callable[..., Path]) -> None:
    (one, first), (two, second) = drawn("one", rate=7), drawn("two", "research")
    holders = KeyHolders(keys_file(first, second), ["studio", "research"], 600)
    assert await holders.admit(one, "") == Caller("one", 7, "studio")
    assert await holders.admit(two, "") == Caller("two", 600, "research")
    for wrong in (None, "", "vjk_", one[:-1], one.lower(), str(first["sha256"])):
        with pytest.raises(Unauthenticated):
            await holders.admit(wrong, "")


async def test_new_keys_are_read_when_the_file_changes_and_a_broken_file_changes_nothing(
    keys_file: Callable[..., Path], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (one, first), (two, second) = drawn("one"), drawn("two")
    path = keys_file(first)
    holders = KeyHolders(path, ["studio"], 600, clock)
    path.write_text("{")
    clock.now += 2
    assert (await holders.admit(one, "")).name == "one"
    assert "cannot be used" in caplog.text
    keys_file(second)
    clock.now += 2
    assert (await holders.admit(two, "")).name == "two"
    with pytest.raises(Unauthenticated):
        await holders.admit(one, "")


async def test_a_service_that_begins_without_a_key_is_given_one_later(
    keys_file: Callable[..., Path], clock: Clock
) -> None:
    key, entry = drawn("one")
    holders = KeyHolders(keys_file(), ["studio"], 600, clock)
    with pytest.raises(Unauthenticated):
        await holders.admit(key, "")
    keys_file(entry)
    clock.now += 2
    assert (await holders.admit(key, "")).name == "one"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"namespace": "elsewhere"}, "one: the namespace elsewhere is not served"),
        ({"sha256": "short"}, "keys.0.sha256"),
        ({"key": "vjk_plain"}, "keys.0.key"),
        ({"name": "No Label"}, "keys.0.name"),
        ({"requestsPerMinute": -1}, "keys.0.requestsPerMinute"),
    ],
)
def test_what_is_wrong_in_the_file_is_told(
    change: dict[str, object], sentence: str, keys_file: Callable[..., Path]
) -> None:
    _, entry = drawn("one")
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        KeyHolders(keys_file(entry | change), ["studio"], 600)


def test_two_keys_have_two_names(keys_file: Callable[..., Path]) -> None:
    with pytest.raises(ConfigurationError, match="two keys have the name one"):
        KeyHolders(keys_file(drawn("one")[1], drawn("one")[1]), ["studio"], 600)


def test_the_command_line_draws_a_key_and_its_entry() -> None:
    command = [sys.executable, "-m", "videojob_api", "new-key", "editor", "--namespace=studio"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
    key_line, entry_line = ended.stdout.splitlines()
    key = key_line.rpartition(" ")[2]
    entry = json.loads(entry_line[entry_line.index("{") :])
    assert entry == {"name": "editor", "namespace": "studio", "sha256": hashlib.sha256(key.encode()).hexdigest()}
    assert len(key) > 40
    again = subprocess.run([*command[:-2], "Not A Label"], capture_output=True, text=True, check=False)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.count("\n") == 1
    assert "the name must be a DNS label" in again.stderr


def test_no_key_is_drawn_with_a_rate_that_the_file_could_not_have() -> None:
    assert '"requestsPerMinute": 0' in new_key("editor", "studio", 0)[1]
    with pytest.raises(ConfigurationError, match="must be at least 0"):
        new_key("editor", "studio", -5)


async def test_many_ask_at_once_and_the_cluster_is_asked_once(clock: Clock) -> None:
    known: Decisions[str, str] = Decisions(clock)
    asked: list[str] = []

    async def ask() -> str:
        asked.append("?")
        await asyncio.sleep(0)
        return "yes"

    assert await asyncio.gather(*[known.get("may I", ask) for _ in range(50)]) == ["yes"] * 50
    clock.now += 29
    await known.get("may I", ask)
    assert len(asked) == 1
    clock.now += 32
    await known.get("may I", ask)
    assert len(asked) == 2


async def test_a_question_that_failed_is_asked_again(clock: Clock) -> None:
    known: Decisions[str, str] = Decisions(clock)

    async def fail() -> str:
        raise OSError

    async def succeed() -> str:
        return "yes"

    with pytest.raises(OSError):  # noqa: PT011 - that very one
        await known.get("may I", fail)
    assert await known.get("may I", succeed) == "yes"


@pytest.fixture
def guarded(dead_settings: Settings, keys_file: Callable[..., Path]) -> Settings:
    """Settings with one key, which this test does not have."""
    file = keys_file(drawn("one", dead_settings.namespace)[1])
    return replace(dead_settings, authentication=Authentication.KEYS, keys_file=file, requests_per_minute=600)


async def test_without_a_key_nothing_is_told_but_what_is_the_same_for_everyone(
    guarded: Settings, open_client: OpenClient
) -> None:
    async with open_client(guarded) as client:
        for path in ("/", "/page/main.js", "/docs", "/openapi.json", "/healthz"):
            assert (await client.get(path)).status_code == 200, path
        for route in VERBS:
            method, _, path = route.partition(" ")
            answer = await client.request(method, path.format(job_id="a-job", video_id="a-job"))
            assert answer.status_code == 401, route
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            error = answer.json()["error"]
            assert error["code"] == "Unauthenticated"
            assert error.get("type") == ("authentication_error" if path.startswith("/v1/") else None)
        assert (await client.get("/no/such/route")).status_code == 401


async def test_the_document_tells_how_to_show_who_one_is(
    guarded: Settings, open_client: OpenClient, away: httpx.AsyncClient
) -> None:
    async with open_client(guarded) as client:
        document = (await client.get("/openapi.json")).json()
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert document["security"] == [{"bearer": []}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert ("401" in operation["responses"]) is not is_open(path)
            assert (operation.get("security") == []) is is_open(path)
    open_one = (await away.get("/openapi.json")).json()
    assert "security" not in open_one
    assert "401" not in open_one["paths"]["/generate"]["post"]["responses"]


async def test_other_origins_may_call_only_where_the_settings_say_so(
    dead_settings: Settings, open_client: OpenClient, away: httpx.AsyncClient
) -> None:
    asked = {"Origin": "https://studio.example", "Access-Control-Request-Method": "POST"}
    assert (await away.options("/generate", headers=asked)).status_code == 405
    assert "Access-Control-Allow-Origin" not in (await away.get("/models", headers=asked)).headers
    async with open_client(replace(dead_settings, cors_origins=("https://studio.example",))) as client:
        answer = await client.options("/generate", headers=asked)
        assert answer.headers["Access-Control-Allow-Origin"] == "https://studio.example"
        foreign = await client.get("/models", headers={"Origin": "https://elsewhere.example"})
        assert "Access-Control-Allow-Origin" not in foreign.headers


async def refuse() -> None:
    """Know nobody."""


async def test_strangers_push_nobody_out_who_was_let_in(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "GRANTS_KEPT", 10)
    known: Decisions[object, str | None] = Decisions(clock)
    asked: list[str] = []

    async def let_in() -> str:
        asked.append("?")
        return "somebody"

    async def fail() -> str:
        raise Unauthenticated("nobody")

    await known.get("a token", let_in)
    for number in range(1, 20):
        assert await known.get(number, refuse) is None
    for number in range(1, 20):
        with pytest.raises(Unauthenticated):
            await known.get(-number, fail)
    assert await known.get("a token", let_in) == "somebody"
    assert len(asked) == 1


async def test_a_refusal_is_remembered_too_but_not_for_longer(clock: Clock) -> None:
    known: Decisions[str, str | None] = Decisions(clock)
    asked: list[str] = []

    async def wait_for_the_role() -> str | None:
        asked.append("?")
        return "somebody" if len(asked) > 1 else None

    assert [await known.get("a token", wait_for_the_role) for _ in range(3)] == [None] * 3
    assert len(asked) == 1
    clock.now += 61
    assert await known.get("a token", wait_for_the_role) == "somebody"


async def test_few_strangers_are_asked_about_at_once_and_who_is_known_does_not_wait_for_them(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: Decisions[object, str | None] = Decisions(clock)
    asked: list[str] = []
    full, answer = asyncio.Event(), asyncio.Event()

    async def let_in() -> str:
        return "somebody"

    async def refuse_slowly() -> None:
        asked.append("?")
        if len(asked) == STRANGERS_AT_ONCE:
            full.set()
        await answer.wait()

    await known.get("a token", let_in)
    strangers = [asyncio.ensure_future(known.get(number, refuse_slowly)) for number in range(100)]
    await full.wait()
    clock.now += 61
    assert await known.get("a token", let_in) == "somebody"
    monkeypatch.setattr(decisions, "LONGEST_WAIT_SECONDS", 0)
    with pytest.raises(ClusterUnavailable, match="not known yet"):
        await known.get("another", let_in)
    assert len(asked) == STRANGERS_AT_ONCE
    answer.set()
    assert await asyncio.gather(*strangers) == [None] * 100
    assert await known.get("another", let_in) == "somebody"
