"""The node itself: what it says of the machine, and how it ends and comes back."""

import os
import platform
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.local.node.rig import Node, Studio, condition, pid, process_ended, state, wait_until

pytestmark = pytest.mark.cluster

PATIENT = "trap 'sleep 0.2; echo saved >> {folder}/saved; exit 75' TERM; echo up; while :; do sleep 0.05; done"


def test_the_node_tells_its_gpus_and_that_they_are_pretended(node: Node) -> None:
    found = node.kube.get(node.path)
    labels = found["metadata"]["labels"]
    assert labels["kubernetes.io/hostname"] == node.name
    assert labels["kubernetes.io/os"] == platform.system().lower()
    assert labels["nvidia.com/gpu.product"] == "NVIDIA-H100-80GB-HBM3"
    assert labels["videojob.dev/pretended-gpu"] == "true"
    assert found["status"]["allocatable"]["nvidia.com/gpu"] == "2"
    assert found["status"]["allocatable"]["cpu"] == "8"


def test_a_pod_that_asks_for_more_gpus_than_there_are_stays_pending(studio: Studio) -> None:
    pod = studio.pod("greedy", studio.pod_spec("true", resources={"limits": {"nvidia.com/gpu": "3"}}))
    waiting = studio.kube.wait(pod, lambda found: condition(found, "PodScheduled") == "False")
    assert "Insufficient nvidia.com/gpu" in str(waiting["status"]["conditions"])


def test_a_second_agent_in_the_same_folder_ends_with_one_sentence(node: Node) -> None:
    second = Node(node.kube, node.name, node.folder, node.port)
    argv = second.command()
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == f"another process node works in {node.folder / 'state'}"


def test_a_killed_agent_leaves_nothing_running_and_its_jobs_do_not_count_it(
    new_node: Node, studio_on: Callable[[Node], Studio]
) -> None:
    studio = studio_on(new_node)
    ignore = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    job = studio.job("long", studio.pod_spec("sleep 3600"), backoffLimit=0, podFailurePolicy={"rules": [ignore]})
    pods = f"{studio.pods}?labelSelector=job-name=long"
    first = studio.kube.wait(pods, lambda found: found["items"] and "running" in state(found["items"][0]))["items"][0]

    new_node.signal(signal.SIGKILL)
    assert not process_ended(pid(first))
    new_node.start()

    wait_until(lambda: process_ended(pid(first)), "the orphan still runs")
    ended = studio.ended(f"{studio.pods}/{first['metadata']['name']}")
    assert (ended["status"]["phase"], ended["status"]["reason"]) == ("Failed", "AgentRestarted")
    assert condition(ended, "DisruptionTarget") == "True"
    assert state(ended)["terminated"]["reason"] == "ContainerStatusUnknown"
    studio.kube.wait(f"{studio.pods}/{first['metadata']['name']}", lambda pod: not pod["metadata"].get("finalizers"))
    assert "failed" not in studio.kube.get(job)["status"]  # looked at, and not counted


def test_an_agent_that_is_told_to_end_lets_its_pods_save_their_work(
    new_node: Node, studio_on: Callable[[Node], Studio], tmp_path: Path
) -> None:
    studio = studio_on(new_node)
    pod = studio.pod("renders", studio.pod_spec(PATIENT.format(folder=tmp_path)))
    studio.said(pod, "up")

    assert new_node.signal(signal.SIGTERM) == 0

    assert (tmp_path / "saved").read_text() == "saved\n"
    ended = studio.kube.get(pod)
    assert (ended["status"]["phase"], ended["status"]["reason"]) == ("Failed", "NodeShutdown")
    assert state(ended)["terminated"]["exitCode"] == 75
    assert condition(ended, "DisruptionTarget") == "True"
    assert not new_node.ready(studio.kube.get(new_node.path))


def test_a_second_signal_ends_the_pods_at_once(new_node: Node, studio_on: Callable[[Node], Studio]) -> None:
    studio = studio_on(new_node)
    pod = studio.pod("stubborn", studio.pod_spec("trap '' TERM; echo up; while :; do sleep 0.05; done"))
    studio.said(pod, "up")
    process = pid(studio.kube.get(pod))
    assert new_node.process

    new_node.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "ending" in new_node.log, "the agent does not end its Pods")
    new_node.process.send_signal(signal.SIGTERM)

    assert new_node.process.wait(20) == 0
    assert process_ended(process)


def test_logs_of_ended_pods_outlive_the_agent(new_node: Node, studio_on: Callable[[Node], Studio]) -> None:
    studio = studio_on(new_node)
    pod = studio.pod("talks", studio.pod_spec("echo still here"))
    studio.ended(pod)
    new_node.signal(signal.SIGTERM)
    new_node.start()
    assert studio.output(pod) == "still here\n"


def test_what_ends_while_the_api_server_is_away_is_told_when_it_is_back(studio: Studio, tmp_path: Path) -> None:
    script = f"echo up; until [ -e {tmp_path}/go ]; do sleep 0.02; done; touch {tmp_path}/gone; exit 75"
    pod = studio.pod("outlives", studio.pod_spec(script))
    studio.running(pod)
    control_plane = studio.kube.stack.control_plane

    control_plane.stop_api_server()
    try:
        (tmp_path / "go").touch()
        wait_until((tmp_path / "gone").exists, "the Pod does not run on")
    finally:
        control_plane.start_api_server()

    assert state(studio.ended(pod))["terminated"]["exitCode"] == 75
    later = studio.pod("later", studio.pod_spec("true"))
    assert studio.ended(later)["status"]["phase"] == "Succeeded"


def test_a_running_pod_that_was_declared_unready_is_ready_again(studio: Studio) -> None:
    """The node controller does so to the Pods of a node that is away, and undoes it never."""
    pod = studio.pod("steady", studio.pod_spec("sleep 3600"))
    ready = studio.kube.wait(pod, lambda found: condition(found, "Ready") == "True")
    conditions = [c | {"status": "False"} if c["type"] == "Ready" else c for c in ready["status"]["conditions"]]

    studio.kube.patch(f"{pod}/status", {"status": {"conditions": conditions}})

    studio.kube.wait(pod, lambda found: condition(found, "Ready") == "True")


def test_folders_of_deleted_pods_are_removed(studio: Studio) -> None:
    pod = studio.pod("gone", studio.pod_spec("true"))
    folder = studio.node.folder / "state" / "pods" / studio.ended(pod)["metadata"]["uid"]
    assert folder.is_dir()
    studio.kube.delete(pod)
    wait_until(lambda: not folder.exists(), "the folder of the deleted Pod is still there")


def test_the_agents_log_tells_no_values(studio: Studio) -> None:
    env = [{"name": "VIDEOJOB_REQUEST", "value": '{"prompt": "a very private cat"}'}]
    studio.ended(studio.pod("private", studio.pod_spec("true", env=env)))
    assert "private cat" not in studio.node.log
    assert os.environ["PATH"] not in studio.node.log
