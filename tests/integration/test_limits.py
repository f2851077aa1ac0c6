"""Deadlines, time to live, retries elsewhere and the cap on free ones, on the real control plane."""

import itertools
from collections.abc import Iterator

import psutil
import pytest
from cluster import Cluster, Manifest, wait_for

from videojob import environment
from videojob_local.process_node import ProcessNode

pytestmark = pytest.mark.cluster
_numbers = itertools.count(1)

ELSEWHERE = "test-2"


@pytest.fixture
def name() -> str:
    """A name no other test of this module uses."""
    return f"limited-{next(_numbers)}"


@pytest.fixture(scope="module")
def second_node(studio: Cluster) -> Iterator[str]:
    """One more node, with the images of the first; but a renderer that hangs there does not hang here."""
    stack = studio.stack
    (renderer,) = (command for image, command in stack.images.items() if "videojob-renderer" in image)
    images = stack.images | {"test/hangs-here:*": renderer}
    node = ProcessNode(stack.folder, stack.control_plane, stack.processes, images=images, name=ELSEWHERE, gpus=0)
    node.start()
    stack.wait_for_node(ELSEWHERE)
    yield ELSEWHERE
    node.stop()
    studio.kubectl.run("delete", "node", ELSEWHERE)


def status(studio: Cluster, name: str) -> Manifest:
    return (studio.get(name) or {}).get("status", {})


def test_a_job_that_finds_no_node_in_time_has_failed_and_leaves_no_job(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "nowhere", "startDeadlineSeconds": 15})
    failed = studio.wait_for_phase(name, "Failed", seconds=240)["status"]
    assert failed["reason"] == "StartDeadlineExceeded"
    assert "no node has the labels pool=nowhere" in failed["message"]
    assert "nodeSelector" in failed["hint"]
    wait_for(lambda: studio.job(name) is None, "the end of the Job", seconds=120)


def test_a_run_that_takes_too_long_fails_the_job_and_keeps_the_pod_for_its_logs(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "sleep", "activeDeadlineSeconds": 2})
    assert studio.wait_for_phase(name, "Failed", seconds=240)["status"]["reason"] == "DeadlineExceeded"
    wait_for(lambda: _has_failed(studio.job(name)), "the end of the Job", seconds=120)
    (pod,) = studio.pods(name)
    assert pod["status"]["reason"] == "DeadlineExceeded"


def _has_failed(job: Manifest | None) -> bool:
    conditions = (job or {}).get("status", {}).get("conditions", [])
    return any(each["type"] == "Failed" and each["status"] == "True" for each in conditions)


def test_a_finished_videojob_is_deleted_after_its_time_to_live(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "exit-64", "ttlSecondsAfterFinished": 1})
    wait_for(lambda: studio.get(name) is None, "the deletion", seconds=240)
    wait_for(lambda: studio.job(name) is None and not studio.pods(name), "the end of Job and pod")


def test_the_time_to_live_goes_on_while_no_operator_runs(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "exit-64", "ttlSecondsAfterFinished": 15})
    studio.wait_for_phase(name, "Failed", seconds=240)
    studio.kubectl.run("delete", "pod", f"--namespace={studio.namespace}", "-l", "app.kubernetes.io/component=operator")
    wait_for(lambda: studio.get(name) is None, "the deletion by the next operator", seconds=240)


def test_a_job_that_is_interrupted_again_and_again_is_given_up(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "fleeting", "backoffLimit": 0})
    failed = studio.wait_for_phase(name, "Failed", seconds=240)["status"]
    assert failed["reason"] == "TooManyInterruptions"
    assert failed["message"].startswith("stopped from outside")  # a quick third pod may come before the verdict
    assert failed["message"].endswith("the profile allows 1")
    wait_for(lambda: _has_failed(studio.job(name)), "the end of the Job", seconds=120)


def test_after_a_gpu_fault_the_next_pod_goes_to_another_node(studio: Cluster, second_node: str, name: str) -> None:
    studio.create(name, spec={"profile": "exit-70", "backoffLimit": 1})
    failed = studio.wait_for_phase(name, "Failed", seconds=240)["status"]
    assert (failed["reason"], failed["attempts"], failed["failures"]) == ("GpuFault", 2, 2)
    assert len(set(failed["avoidedNodes"])) == 2
    assert failed["message"].startswith("gave up after 2 failed pod(s)")


def test_a_gpu_fault_on_the_only_node_that_fits_says_so(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "exit-70-here"})
    failed = studio.wait_for_phase(name, "Failed", seconds=240)["status"]
    assert (failed["reason"], failed["attempts"], failed["avoidedNodes"]) == ("GpuFault", 1, ["local"])
    assert "no node fits but local" in failed["message"]
    wait_for(lambda: studio.job(name) is None, "the end of the Job", seconds=120)


@pytest.mark.timeout(1200)
def test_a_render_on_a_gpu_that_hangs_goes_on_at_another_node(studio: Cluster, second_node: str, name: str) -> None:
    studio.kubectl.run("cordon", second_node)
    studio.create(name, spec={"profile": "hangs-here", "backoffLimit": 1}, steps=20)
    wait_for(lambda: status(studio, name).get("nodeName"), "a node for the first pod", seconds=240)
    studio.kubectl.run("uncordon", second_node)
    done = studio.wait_for_phase(name, "Succeeded", seconds=600)["status"]
    assert (done["attempts"], done["failures"], done["avoidedNodes"]) == (2, 1, ["local"])
    assert done["nodeName"] == second_node
    assert done["renderer"]["resumedFromStep"] > 0
    wait_for(lambda: not _renderers(studio, name), "the end of the process that hung", seconds=120)


def _renderers(studio: Cluster, name: str) -> list[int]:
    """Return the processes that render a job, hanging or not."""
    mine = {environment.NAME: name, environment.NAMESPACE: studio.namespace}.items()
    running = psutil.process_iter(["environ"])
    return [process.pid for process in running if mine <= (process.info["environ"] or {}).items()]


def test_a_pod_that_the_cluster_refuses_is_explained(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "no-class"})
    studio.wait_for_reason(name, "JobRejected", seconds=240)
    assert "no PriorityClass with name absent" in status(studio, name)["message"]
    studio.delete(name)


def test_a_volume_that_is_missing_is_named(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "no-volume"})
    studio.wait_for_reason(name, "VolumeUnavailable", seconds=240)
    assert 'secrets "absent" not found' in status(studio, name)["message"]
    studio.delete(name)
