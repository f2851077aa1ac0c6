"""The operator as a process of its own, with the rights that the chart gives: its start, its logs, its end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cluster import Cluster, wait_for

from videojob_local.ports import free_port

pytestmark = pytest.mark.cluster

MARKER = "xyzzy-prompt-that-must-not-be-logged"
CATALOGUE = {"defaultModel": "none", "models": {"none": {"family": "2b", "source": "/nowhere"}}}
PROFILES = {
    "default": {"gpus": 0, "image": "test/sleep:1"},
    "exit-0": {"gpus": 0, "image": "test/exit-0:1"},
}


class Operator:
    """A running operator."""

    def __init__(self, folder: Path, kubeconfig: Path, namespace: str, port: int) -> None:
        (folder / "catalogue.json").write_text(json.dumps(CATALOGUE))
        (folder / "profiles.json").write_text(json.dumps(PROFILES))
        self.log = folder / "operator.log"
        self.url = f"http://127.0.0.1:{port}"
        environment = {
            "KUBECONFIG": str(kubeconfig),
            "VIDEOJOB_CATALOGUE": str(folder / "catalogue.json"),
            "VIDEOJOB_PROFILES": str(folder / "profiles.json"),
            "VIDEOJOB_NAMESPACES": namespace,
            "VIDEOJOB_RENDERER_IMAGE": "test/sleep:1",
            "VIDEOJOB_RENDERER_SERVICE_ACCOUNT": "videojob-renderer",
            "VIDEOJOB_STORAGE_CONFIGMAP": "videojob-storage",
            "VIDEOJOB_STORAGE_SECRET": "videojob-storage",
            "VIDEOJOB_HEALTH_PORT": str(port),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "videojob_operator"],
                env=os.environ | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def probe(self, path: str) -> tuple[int, str]:
        """Return status and text of a probe; 0 while nobody answers."""
        try:
            answer = httpx.get(self.url + path, timeout=5)
        except httpx.TransportError:
            return 0, ""
        return answer.status_code, answer.text.strip()

    def wait_until_ready(self) -> None:
        """Wait for /readyz."""
        wait_for(lambda: self.probe("/readyz") == (200, "ok"), "readiness of the operator", seconds=60)

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def lines(self) -> list[dict[str, Any]]:
        """Return what it logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


Start = Callable[..., Operator]


@pytest.fixture
def start(cluster: Cluster, tmp_path: Path) -> Iterator[Start]:
    """Start operators for the test's namespace, with the account, the rights and the storage of the chart."""
    cluster.install("api.replicas=0", "operator.replicas=0")
    started: list[Operator] = []

    def start_one(account: str = "videojob-operator", port: int = 0) -> Operator:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        kubeconfig = cluster.service_account_kubeconfig(account, folder / "kubeconfig")
        started.append(Operator(folder, kubeconfig, cluster.namespace, port or free_port()))
        return started[-1]

    yield start_one
    for operator in started:
        operator.process.kill()
        operator.process.wait(timeout=10)


def test_sigterm_ends_the_operator_in_order_and_no_prompt_was_logged(cluster: Cluster, start: Start) -> None:
    operator = start()
    operator.wait_until_ready()
    assert operator.probe("/healthz") == (200, "ok")
    cluster.create("squirrel", spec={"profile": "exit-0"}, prompt=MARKER)
    cluster.create("refused", prompt=MARKER, model=MARKER[:60])
    cluster.wait_for_phase("squirrel", "Failed")
    cluster.wait_for_phase("refused", "Failed")
    wait_for(lambda: "ArtifactMissing" in operator.log.read_text(), "the log line of the last phase")
    assert operator.terminate() == 0
    changes = [line for line in operator.lines() if line["message"] == "phase changed"]
    assert {line["reason"] for line in changes} >= {"WaitingForPod", "ArtifactMissing", "UnknownModel"}
    assert {line["uid"] for line in changes} == {
        (cluster.get(name) or {})["metadata"]["uid"] for name in ("squirrel", "refused")
    }
    assert MARKER not in operator.log.read_text()
    assert "error" not in {line["level"] for line in operator.lines()}


def test_an_operator_started_during_an_outage_waits_for_the_api_server(cluster: Cluster, start: Start) -> None:
    first, port = start(), free_port()
    first.wait_until_ready()
    cluster.stack.control_plane.stop_api_server()
    try:
        # It gets the kubeconfig of the first: without an API server there are no fresh tokens.
        folder = first.log.parent / "second"
        folder.mkdir()
        second = Operator(folder, first.log.parent / "kubeconfig", cluster.namespace, port)
        wait_for(lambda: "cannot list yet" in second.log.read_text(), "the first try")
        status, why = second.probe("/readyz")
        assert status == 503
        assert "Cannot connect to host" in why
        assert second.probe("/healthz") == (200, "ok")
    finally:
        cluster.stack.control_plane.start_api_server()
    try:
        second.wait_until_ready()
        cluster.create("squirrel")
        cluster.wait_for_phase("squirrel", "Starting")
        assert second.terminate() == 0
        assert first.process.poll() is None
    finally:
        second.process.kill()
        second.process.wait(timeout=10)


def test_an_operator_that_waits_for_the_api_server_ends_on_sigterm(cluster: Cluster, start: Start) -> None:
    operator = start(account="default")
    wait_for(lambda: "is forbidden" in operator.probe("/readyz")[1], "the refusal of a foreign account")
    assert operator.terminate() == 0
    assert "error" not in {line["level"] for line in operator.lines()}


def test_a_port_in_use_is_one_sentence(start: Start) -> None:
    first = start()
    first.wait_until_ready()
    port = int(first.url.rsplit(":", 1)[1])
    second = start(port=port)
    assert second.process.wait(timeout=60) == 1
    assert second.log.read_text() == f"videojob-operator: cannot serve probes on port {port}: Address already in use\n"


def test_two_operators_at_once_are_harmless(cluster: Cluster, start: Start) -> None:
    operators = [start(), start()]
    for operator in operators:
        operator.wait_until_ready()
    names = [f"squirrel-{number}" for number in range(10)]
    created = {name: cluster.create(name, spec={"profile": "exit-0"})["metadata"]["uid"] for name in names}
    for name, uid in created.items():
        status = cluster.wait_for_phase(name, "Failed")["status"]
        assert (status["reason"], status["attempts"]) == ("ArtifactMissing", 1)
        (pod,) = cluster.pods(name)
        assert (cluster.job(name) or {})["metadata"]["ownerReferences"][0]["uid"] == uid
        assert pod["metadata"]["name"] == status["podName"]
    assert all(operator.process.poll() is None for operator in operators)


def test_nothing_is_stored_on_a_videojob_beside_its_status(cluster: Cluster, start: Start) -> None:
    start().wait_until_ready()
    cluster.create("squirrel")
    metadata = cluster.wait_for_phase("squirrel", "Starting")["metadata"]
    assert not {"annotations", "finalizers"} & metadata.keys()
