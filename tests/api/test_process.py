"""`python -m videojob_api` as its own process: start, log, end."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.api.conftest import environment_of

from videojob_api.__main__ import _listen
from videojob_api.settings import Settings

SECRET = "a squirrel that nobody may read of"


def start(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Start the API with settings it cannot work with."""
    return subprocess.run(
        [sys.executable, "-m", "videojob_api"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def complete(dead_settings: Settings, tmp_path: Path) -> dict[str, str]:
    """An environment in which the API starts, though it reaches nothing."""
    return environment_of(dead_settings, tmp_path) | {"VIDEOJOB_API_PORT": "0"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"VIDEOJOB_NAMESPACE": ""}, "the environment variable VIDEOJOB_NAMESPACE is not set"),
        ({"VIDEOJOB_API_HOST": "203.0.113.1"}, "the service listens on loopback only"),
        (
            {"VIDEOJOB_API_HOST": "203.0.113.1", "VIDEOJOB_API_ALLOW_ANYONE": "true"},
            "cannot listen on 203.0.113.1:0",
        ),
        ({"VIDEOJOB_API_AUTH": "keys", "VIDEOJOB_API_KEYS_FILE": "/no.json"}, "keys /no.json: No such file"),
        ({"KUBECONFIG": "/nothing.yaml"}, "kubeconfig /nothing.yaml: No such file or directory"),
        ({"KUBECONFIG": "/dev/null"}, "kubeconfig /dev/null:"),
        ({"KUBECONFIG": "", "KUBERNETES_SERVICE_HOST": ""}, "service account of this pod:"),
        ({"AWS_ENDPOINT_URL_S3": "no url"}, "S3:"),
    ],
)
def test_a_wrong_setting_is_told_in_one_sentence(
    change: dict[str, str], sentence: str, complete: dict[str, str]
) -> None:
    ended = start(complete | change)
    assert ended.returncode == 2
    assert ended.stderr.startswith("videojob_api: ")
    assert sentence in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""


def test_a_port_in_use_is_told_in_one_sentence(complete: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = start(complete | {"VIDEOJOB_API_PORT": str(taken.getsockname()[1])})
    assert ended.returncode == 2
    assert "Address already in use" in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_all_addresses_of_ipv6_are_those_of_ipv4_as_well(dead_settings: Settings) -> None:
    with _listen(replace(dead_settings, host="::", port=0)) as listener:
        port = listener.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), timeout=60).close()


@pytest.mark.cluster
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_stop_ends_it_well(number: signal.Signals, server: Any) -> None:
    server.process.send_signal(number)
    assert server.process.wait(timeout=30) == 0
    assert server.lines()


@pytest.mark.cluster
def test_a_download_may_end_before_the_process_does(server: Any, job_id: str, finish: Callable[..., str]) -> None:
    video = bytes(32 * 1024 * 1024)
    finish(job_id, video)
    with httpx.stream("GET", f"{server.url}/video/{job_id}") as answer:
        pieces = answer.iter_bytes(65536)
        received = len(next(pieces))
        server.process.send_signal(signal.SIGTERM)
        received += sum(map(len, pieces))
    assert received == len(video)
    assert server.process.wait(timeout=30) == 0


@pytest.mark.cluster
def test_the_log_tells_of_requests_and_jobs_but_never_of_prompts(server: Any) -> None:
    created = httpx.post(
        f"{server.url}/generate",
        json={"prompt": SECRET, "negative_prompt": f"not {SECRET}"},
        headers={"X-Request-ID": "mine"},
    ).json()
    job_id = created["job_id"]
    httpx.get(f"{server.url}/status/{job_id}")
    httpx.get(f"{server.url}/nothing/{SECRET}")
    httpx.post(f"{server.url}/jobs/{job_id}/cancel")
    for wrong in ({"prompt": SECRET, "fps": 0}, {"prompt": SECRET, SECRET: 1}, {"prompt": [SECRET]}):
        assert httpx.post(f"{server.url}/generate", json=wrong).status_code == 422
    httpx.post(f"{server.url}/generate", content=f'{{"prompt": "{SECRET}')
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(timeout=30)

    assert "squirrel" not in server.log.read_text()
    lines = server.lines()
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    (made,) = [line for line in lines if line["message"] == "job created"]
    assert made["job_id"] == job_id
    assert made["uid"]
    assert made["request_id"] == "mine"
    (ended,) = [line for line in lines if line["message"] == "job cancelled"]
    assert (ended["job_id"], ended["uid"]) == (job_id, made["uid"])
    access = [(line["method"], line["route"], line["status"]) for line in lines if line["message"] == "answered"]
    assert ("POST", "/generate", 200) in access
    assert ("GET", "/status/{job_id}", 200) in access
    assert ("GET", None, 404) in access
    assert ("POST", "/generate", 422) in access


@pytest.mark.cluster
def test_many_clients_at_once_are_served(server: Any) -> None:
    answers: list[int] = []

    def ask() -> None:
        answers.append(httpx.get(f"{server.url}/health", timeout=30).status_code)
        answers.append(httpx.post(f"{server.url}/generate", json={"prompt": "a"}, timeout=30).status_code)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 40


@pytest.mark.cluster
def test_a_connection_outlives_the_pause_of_a_client_that_polls_every_5_seconds(server: Any) -> None:
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port), timeout=7) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        while not received.endswith(b"}"):
            received += connection.recv(65536)
        with pytest.raises(TimeoutError):  # an end that the server sent would be received as nothing
            connection.recv(1)
