"""What becomes of a job whose node is drained, or lost: another pod, free of charge, and until then the reason why."""

import sys
from collections.abc import Iterator

import psutil
import pytest
from cluster import Cluster, Manifest, wait_for
from operator_process import Start

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
    _freeze(empty_studio, second_node)  # its heartbeat stops, its pod goes on: as when the network is cut
    wait_for(lambda: status(empty_studio, "squirrel").get("reason") == "NodeLost", "NodeLost", seconds=600)
    lost = status(empty_studio, "squirrel")
    assert lost["message"] == f"node {SECOND} does not answer, and its pod cannot end"
    assert f"kubectl delete node {SECOND}" in lost["hint"]
    assert (lost["phase"], lost["attempts"]) == ("Pending", 1)
    assert len(empty_studio.pods("squirrel")) == 1, "never two at once"

    empty_studio.kubectl.run("delete", "node", SECOND)  # as the hint says
    empty_studio.kubectl.run("label", "node", empty_studio.stack.node.name, "pool=second")
    try:
        again = empty_studio.wait_for_phase("squirrel", "Starting", seconds=600)["status"]
        assert (again["nodeName"], again["attempts"]) == (empty_studio.stack.node.name, 2)
        assert again.get("failures", 0) == 0
        assert "hint" not in again
    finally:
        empty_studio.kubectl.run("label", "node", empty_studio.stack.node.name, "pool-")


def _names(cluster: Cluster, name: str) -> set[str]:
    """Return the names of a job's pods: the one that was evicted may be gone already."""
    return {pod["metadata"]["name"] for pod in cluster.pods(name)}


def _runs(cluster: Cluster, name: str) -> bool:
    """Tell whether the pod of a job runs."""
    return any(pod["status"]["phase"] == "Running" for pod in cluster.pods(name))


def _freeze(cluster: Cluster, node: ProcessNode) -> None:
    """Stop the process of a node in the midst of whatever it does, without an end."""
    (part,) = (part for part in cluster.stack.processes.all() if part.name == node.part_name)
    psutil.Process(part.pid).suspend()
