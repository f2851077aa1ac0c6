"""The operator as a process of its own, with the rights that the chart gives: its start, its logs, its end."""

import pytest
from cluster import Cluster, wait_for
from operator_process import Operator, Start

from videojob_local.ports import free_port

pytestmark = pytest.mark.cluster

MARKER = "xyzzy-prompt-that-must-not-be-logged"


def test_sigterm_ends_the_operator_in_order_and_no_prompt_was_logged(empty_studio: Cluster, start: Start) -> None:
    operator = start()
    operator.wait_until_ready()
    assert operator.probe("/healthz") == (200, "ok")
    empty_studio.create("squirrel", spec={"profile": "exit-0"}, prompt=MARKER)
    empty_studio.create("refused", prompt=MARKER, model=MARKER[:60])
    empty_studio.wait_for_phase("squirrel", "Failed")
    log = operator.log
    wait_for(lambda: {"ArtifactMissing", "UnknownModel"} <= set(log.read_text().split('"')), "the log lines of both")
    assert operator.terminate() == 0
    changes = [line for line in operator.lines() if line["message"] == "phase changed"]
    assert {line["reason"] for line in changes} >= {"WaitingForPod", "ArtifactMissing", "UnknownModel"}
    assert {line["uid"] for line in changes} == {
        (empty_studio.get(name) or {})["metadata"]["uid"] for name in ("squirrel", "refused")
    }
    assert MARKER not in operator.log.read_text()
    assert "error" not in {line["level"] for line in operator.lines()}


def test_an_operator_started_during_an_outage_waits_for_the_api_server(empty_studio: Cluster, start: Start) -> None:
    first, port = start(), free_port()
    first.wait_until_ready()
    empty_studio.stack.control_plane.stop_api_server()
    try:
        # It gets the kubeconfig of the first: without an API server there are no fresh tokens.
        folder = first.log.parent / "second"
        folder.mkdir()
        second = Operator(folder, first.log.parent / "kubeconfig", empty_studio.namespace, port)
        wait_for(lambda: "cannot list yet" in second.log.read_text(), "the first try")
        status, why = second.probe("/readyz")
        assert status == 503
        assert "Cannot connect to host" in why
        assert second.probe("/healthz") == (200, "ok")
    finally:
        empty_studio.stack.control_plane.start_api_server()
    try:
        second.wait_until_ready()
        empty_studio.create("squirrel")
        empty_studio.wait_for_phase("squirrel", "Starting")
        assert second.terminate() == 0
        assert first.process.poll() is None
    finally:
        second.process.kill()
        second.process.wait(timeout=10)


def test_an_operator_that_waits_for_the_api_server_ends_on_sigterm(empty_studio: Cluster, start: Start) -> None:
    operator = start(account="default")
    wait_for(lambda: "is forbidden" in operator.probe("/readyz")[1], "the refusal of a foreign account")
    assert operator.terminate() == 0
    assert "error" not in {line["level"] for line in operator.lines()}


def test_a_port_in_use_is_one_sentence(start: Start) -> None:
    first = start()
    first.wait_until_ready()
    second = start(port=first.port)
    assert second.process.wait(timeout=60) == 1
    assert (
        second.log.read_text()
        == f"videojob-operator: cannot serve probes on port {first.port}: Address already in use\n"
    )


def test_two_operators_at_once_are_harmless(empty_studio: Cluster, start: Start) -> None:
    operators = [start(), start()]
    for operator in operators:
        operator.wait_until_ready()
    names = [f"squirrel-{number}" for number in range(10)]
    created = {name: empty_studio.create(name, spec={"profile": "exit-0"})["metadata"]["uid"] for name in names}
    for name, uid in created.items():
        status = empty_studio.wait_for_phase(name, "Failed")["status"]
        assert (status["reason"], status["attempts"]) == ("ArtifactMissing", 1)
        (pod,) = empty_studio.pods(name)
        assert (empty_studio.job(name) or {})["metadata"]["ownerReferences"][0]["uid"] == uid
        assert pod["metadata"]["name"] == status["podName"]
    assert all(operator.process.poll() is None for operator in operators)


def test_nothing_is_stored_on_a_videojob_beside_its_status(empty_studio: Cluster, start: Start) -> None:
    start().wait_until_ready()
    empty_studio.create("squirrel")
    metadata = empty_studio.wait_for_phase("squirrel", "Starting")["metadata"]
    assert not {"annotations", "finalizers"} & metadata.keys()
