"""What `helm test` runs, against a server that plays the API; integration and real_node run the whole of it."""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import ModuleType

import pytest
from loopback_server import LoopbackServer, Quiet
from tests.chart.rendering import Render, Rendered

TOKEN = "token-of-the-api-account"
Door = Callable[[str | None], int]
"""The status of the answer to a call with this Authorization header."""

LOCKED: Door = lambda shown: 200 if shown == f"Bearer {TOKEN}" else 401  # noqa: E731 - one line says it


@pytest.fixture
def script(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.setenv("ACCOUNT_DIR", str(tmp_path))
    file = root / "charts/videojob/files/check_installation.py"
    spec = importlib.util.spec_from_file_location("check_installation", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def api() -> Iterator[Callable[[Door], str]]:
    """Start a server that answers by what it is shown, and return its URL."""
    with ExitStack() as servers:

        def start(door: Door) -> str:
            return servers.enter_context(LoopbackServer(answers_by(door))).endpoint

        yield start


def answers_by(door: Door) -> type[BaseHTTPRequestHandler]:
    class Answer(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(door(self.headers.get("Authorization")))
            self.end_headers()
            self.wfile.write(b'{"active_jobs": 0}')

    return Answer


@pytest.mark.parametrize(
    ("mode", "door", "told"),
    [
        ("kubernetes", LOCKED, '{"active_jobs": 0}'),
        ("none", lambda shown: 400 if shown else 200, '{"active_jobs": 0}'),
        ("keys", lambda shown: 400 if shown else 401, "401: it wants a key, as it should"),
    ],
)
def test_health_is_asked_by_the_door_that_the_mode_has(
    script: ModuleType, api: Callable[[Door], str], mode: str, door: Door, told: str
) -> None:
    assert script.health(api(door), mode) == told


@pytest.mark.parametrize(
    ("mode", "status", "told"),
    [
        ("kubernetes", 401, "GET /health failed: 401"),
        ("kubernetes", 403, "GET /health failed: 403"),
        ("none", 503, "GET /health failed: 503"),
        ("keys", 200, "without a key"),
        ("keys", 503, "GET /health failed: 503"),
    ],
)
def test_a_door_that_is_shut_or_open_against_the_mode_fails_it(
    script: ModuleType, api: Callable[[Door], str], mode: str, status: int, told: str
) -> None:
    with pytest.raises(SystemExit, match=told):
        script.health(api(lambda _: status), mode)


def environment(rendered: Rendered) -> dict[str, str]:
    (container,) = rendered.one("Pod", "videojob-test")["spec"]["containers"]
    return {entry["name"]: entry["value"] for entry in container["env"]}


def test_it_runs_as_the_api_whose_account_may_list_videojobs(default: Rendered) -> None:
    assert default.one("Pod", "videojob-test")["spec"]["serviceAccountName"] == "videojob-api"
    assert environment(default)["API_AUTH"] == "kubernetes"
    assert environment(default)["JOBS_NAMESPACE"] == "videojob"


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, "http://videojob-api.videojob.svc:80"),
        ({"api__service__port": "8080"}, "http://videojob-api.videojob.svc:8080"),
        ({"api__replicas": "0"}, ""),
        ({"api__replicas": "0", "api__autoscaling__enabled": "true"}, "http://videojob-api.videojob.svc:80"),
        ({"api__host": "127.0.0.1"}, ""),
        ({"api__host": "::1", "tests__apiUrl": "http://localhost:8000"}, "http://localhost:8000"),
    ],
)
def test_an_api_that_no_pod_reaches_is_not_asked(render: Render, values: dict[str, str], url: str) -> None:
    assert environment(render(**values))["API_URL"] == url
