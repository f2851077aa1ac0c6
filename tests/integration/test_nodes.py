"""What becomes of a job whose node is drained, or lost: another pod, free of charge, and until then the reason why."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from cluster import Cluster, Manifest, wait_for
from operator_process import Start
from tests.integration.conftest import PROFILES

from videojob import environment
from videojob_local.process_node import ProcessNode

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

SECOND = "test-2"
IMPATIENT = (
    "import videojob_operator.job, videojob_operator.limits\n"
    "videojob_operator.job.GRACE_SECONDS = 1\n"
    "videojob_operator.job.NODE_LOST_SECONDS = 1\n"
    "videojob_operator.limits.LOST_SECONDS = 1\n"
    "from videojob_operator.__main__ import main\n"
    "main()\n"
)
"""An operator that waits seconds where the real one waits minutes."""

QUICK_DEADLINE = {"profile": "second-pool", "activeDeadlineSeconds": 3}
FREE_OF_CHARGE = {"profile": "second-pool", "backoffLimit": 0}


@pytest.fixture
def second_node(empty_studio: Cluster) -> Iterator[ProcessNode]:
    """One more node, the only one of its pool."""
    stack, kubectl = empty_studio.stack, empty_studio.kubectl
    node = ProcessNode(stack.folder, stack.control_plane, stack.processes, images=stack.images, name=SECOND, gpus=0)
    node.start()
    try:
        stack.wait_for_node(SECOND)
        kubectl.run("label", "node", SECOND, "pool=second")
        yield node
    finally:
        node.stop()
        kubectl("delete", "node", SECOND, "--ignore-not-found")


def status(cluster: Cluster, name: str) -> Manifest:
    return (cluster.get(name) or {}).get("status", {})


def test_a_job_whose_node_is_drained_gets_another_pod_free_of_charge(
    empty_studio: Cluster, start: Start, second_node: ProcessNode
) -> None:
    start().wait_until_ready()
    empty_studio.create("squirrel", spec=FREE_OF_CHARGE)
    first = empty_studio.wait_for_phase("squirrel", "Starting", seconds=240)["status"]["podName"]
    wait_for(lambda: _runs(empty_studio, "squirrel"), "the first pod", seconds=240)
    mine = "--pod-selector=batch.kubernetes.io/job-name=squirrel"
    empty_studio.kubectl.run("drain", second_node.name, mine, "--delete-emptydir-data", "--timeout=100s")
    wait_for(lambda: _names(empty_studio, "squirrel") - {first}, "another pod", seconds=240)
    wait_for(
        lambda: "1 node(s) were unschedulable" in status(empty_studio, "squirrel").get("message", ""),
        "why the second pod waits",
        seconds=240,
    )
    waiting = status(empty_studio, "squirrel")
    assert (waiting["phase"], waiting["reason"]) == ("Pending", "Unschedulable")
    empty_studio.kubectl.run("uncordon", second_node.name)
    again = empty_studio.wait_for_phase("squirrel", "Starting", seconds=240)["status"]
    assert again["podName"] != first
    assert (again["attempts"], again.get("failures", 0)) == (2, 0)


def test_a_node_that_is_lost_is_told_of_and_its_pod_replaced_once_it_is_deleted(
    empty_studio: Cluster, start: Start, second_node: ProcessNode
) -> None:
    operator = start(command=(sys.executable, "-c", IMPATIENT))
    operator.wait_until_ready()
    empty_studio.create("squirrel", spec=FREE_OF_CHARGE)
    wait_for(lambda: _runs(empty_studio, "squirrel"), "the first pod", seconds=240)
    with _frozen(empty_studio, second_node):  # its heartbeat stops, its pod goes on: as when the network is cut
        wait_for(lambda: status(empty_studio, "squirrel").get("reason") == "NodeLost", "NodeLost", seconds=600)
        lost = status(empty_studio, "squirrel")
        assert lost["message"] == f"node {SECOND} does not answer, and its pod cannot end"
        assert f"kubectl delete node {SECOND}" in lost["hint"]
        assert (lost["phase"], lost["attempts"]) == ("Pending", 1)
        assert len(empty_studio.pods("squirrel")) == 1, "never two at once"

        empty_studio.kubectl.run("delete", "node", SECOND)  # as the hint says
        with _in_pool(empty_studio, empty_studio.stack.node.name):
            again = empty_studio.wait_for_phase("squirrel", "Starting", seconds=600)["status"]
            assert (again["nodeName"], again["attempts"]) == (empty_studio.stack.node.name, 2)
            assert again.get("failures", 0) == 0
            assert "hint" not in again


@pytest.fixture
def may_fail_pods(empty_studio: Cluster) -> Iterator[dict[str, str]]:
    """Give the operator's account the right to declare pods failed; gives the variable that has it used."""
    no_pods = ("api.replicas=0", "operator.replicas=0")
    empty_studio.install(*no_pods, "operator.failLostPods=true", profiles=PROFILES)
    yield {"VIDEOJOB_FAIL_LOST_PODS": "true"}
    empty_studio.install(*no_pods, profiles=PROFILES)


def test_the_pod_of_a_lost_node_is_declared_failed_where_that_is_wanted_and_another_follows(
    empty_studio: Cluster, start: Start, second_node: ProcessNode, may_fail_pods: dict[str, str]
) -> None:
    start(command=(sys.executable, "-c", IMPATIENT), **may_fail_pods).wait_until_ready()
    empty_studio.create("squirrel", spec=FREE_OF_CHARGE)
    wait_for(lambda: _runs(empty_studio, "squirrel"), "the first pod", seconds=240)
    first = status(empty_studio, "squirrel")["podName"]
    with _frozen(empty_studio, second_node), _in_pool(empty_studio, empty_studio.stack.node.name):
        _miss_heartbeats(empty_studio, SECOND)
        wait_for(lambda: status(empty_studio, "squirrel").get("attempts") == 2, "another pod", seconds=600)
        again = empty_studio.wait_for_phase("squirrel", "Starting", "Running", seconds=240)["status"]
        assert (again["nodeName"], again.get("failures", 0)) == (empty_studio.stack.node.name, 0)
        assert empty_studio.kubectl.run("get", "node", SECOND, "--output=name").strip() == f"node/{SECOND}"
        (lost,) = (pod for pod in empty_studio.pods("squirrel") if pod["metadata"]["name"] == first)
        assert lost["status"]["phase"] == "Failed"
        (why,) = (each for each in lost["status"]["conditions"] if each["type"] == "DisruptionTarget")
        assert (why["status"], why["message"]) == ("True", "the node does not answer")
    # The node is back, and with it what went on there unseen: it ends, and the job stays with its second pod.
    wait_for(lambda: _names(empty_studio, "squirrel") == {again["podName"]}, "the end of the lost pod", seconds=240)
    after = status(empty_studio, "squirrel")
    assert (after["podName"], after["attempts"], after.get("failures", 0)) == (again["podName"], 2, 0)


def test_a_run_that_hears_no_signal_any_more_is_killed_after_its_deadline(
    empty_studio: Cluster, start: Start, second_node: ProcessNode
) -> None:
    start(command=(sys.executable, "-c", IMPATIENT)).wait_until_ready()
    empty_studio.create("squirrel", spec=QUICK_DEADLINE)
    wait_for(lambda: _processes(empty_studio), "the process of the pod", seconds=240)
    (process,) = _processes(empty_studio)
    process.suspend()  # it stops where it is, and no SIGTERM ends it: as a process that waits for a driver
    assert empty_studio.wait_for_phase("squirrel", "Failed", seconds=240)["status"]["reason"] == "DeadlineExceeded"
    wait_for(lambda: not process.is_running(), "the end of the process", seconds=240)


def _names(cluster: Cluster, name: str) -> set[str]:
    """Return the names of a job's pods: the one that was evicted may be gone already."""
    return {pod["metadata"]["name"] for pod in cluster.pods(name)}


def _runs(cluster: Cluster, name: str) -> bool:
    """Tell whether the pod of a job runs."""
    return any(pod["status"]["phase"] == "Running" for pod in cluster.pods(name))


def _processes(cluster: Cluster) -> list[psutil.Process]:
    """Return the processes of the renderer's pods in the namespace."""
    running = psutil.process_iter(["environ"])
    return [each for each in running if (each.info["environ"] or {}).get(environment.NAMESPACE) == cluster.namespace]


@contextmanager
def _frozen(cluster: Cluster, node: ProcessNode) -> Iterator[None]:
    """Stop the process of a node for a while, in the midst of whatever it does."""
    (part,) = (part for part in cluster.stack.processes.all() if part.name == node.part_name)
    process = psutil.Process(part.pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


@contextmanager
def _in_pool(cluster: Cluster, node: str) -> Iterator[None]:
    """Add a node to the pool of the second one."""
    cluster.kubectl.run("label", "node", node, "pool=second")
    try:
        yield
    finally:
        cluster.kubectl.run("label", "node", node, "pool-")


def _miss_heartbeats(cluster: Cluster, node: str) -> None:
    """Say of a frozen node what the node controller would say after 50 s without a heartbeat; it then acts on it."""
    ready = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "no heartbeat"}
    patch = json.dumps({"status": {"conditions": [ready]}})
    cluster.kubectl.run("patch", "node", node, "--subresource=status", f"--patch={patch}")
