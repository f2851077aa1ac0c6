"""Whatever dies while a job runs, the video is there in the end, rendered by one Job."""

import os
import signal

import psutil
import pytest
from cluster import Cluster, Manifest, wait_for

pytestmark = pytest.mark.cluster

SLOW = {"steps": 200, "numFrames": 49}  # a render that takes some seconds longer than the outage


def operator_processes(cluster: Cluster) -> list[psutil.Process]:
    """The operator's processes of this namespace, found by the name of their pod."""
    pods = cluster.kubectl.run("get", "pods", f"--namespace={cluster.namespace}", "--output=name").splitlines()
    names = {pod.removeprefix("pod/") for pod in pods if "videojob-operator" in pod}
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("HOSTNAME") in names and "videojob_operator" in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_until_rendering(cluster: Cluster, name: str) -> Manifest:
    return cluster.wait_for_phase(name, "Running", seconds=90)


def test_an_operator_killed_while_a_job_runs_loses_nothing(cluster: Cluster) -> None:
    cluster.install("api.replicas=0")
    cluster.create("squirrel", **SLOW)
    wait_until_rendering(cluster, "squirrel")
    job = (cluster.job("squirrel") or {})["metadata"]["uid"]
    (operator,) = operator_processes(cluster)
    os.kill(operator.pid, signal.SIGKILL)
    status = cluster.wait_for_phase("squirrel", "Succeeded", seconds=120)["status"]
    assert status["artifacts"]["video"]["frames"] == 49
    assert status["attempts"] == 1
    assert (cluster.job("squirrel") or {})["metadata"]["uid"] == job
    assert len(cluster.pods("squirrel")) == 1
    wait_for(lambda: len(operator_processes(cluster)) == 1, "the return of the operator")


def test_a_job_that_ends_while_there_is_no_operator_is_seen_afterwards(cluster: Cluster) -> None:
    cluster.install("api.replicas=0")
    cluster.create("squirrel")
    wait_for(lambda: cluster.pods("squirrel"), "a pod")
    cluster.install("api.replicas=0", "operator.replicas=0")
    wait_for(lambda: not operator_processes(cluster), "the end of the operator")
    wait_for(
        lambda: [pod for pod in cluster.pods("squirrel") if pod["status"]["phase"] == "Succeeded"],
        "the end of the pod",
        seconds=90,
    )
    cluster.create("waiting")
    assert "status" not in (cluster.get("waiting") or {})
    cluster.install("api.replicas=0")
    assert cluster.wait_for_phase("squirrel", "Succeeded")["status"]["attempts"] == 1
    cluster.wait_for_phase("waiting", "Succeeded", seconds=90)


def test_an_outage_of_the_api_server_loses_nothing(cluster: Cluster) -> None:
    cluster.install("api.replicas=0")
    cluster.create("squirrel", **SLOW)
    wait_until_rendering(cluster, "squirrel")
    (operator,) = operator_processes(cluster)
    cluster.stack.control_plane.stop_api_server()
    cluster.stack.control_plane.start_api_server()
    status = cluster.wait_for_phase("squirrel", "Succeeded", seconds=120)["status"]
    assert status["attempts"] == 1
    assert status["artifacts"]["video"]["frames"] == 49
    cluster.create("next")
    cluster.wait_for_phase("next", "Succeeded", seconds=120)
    assert operator.is_running()


def test_a_videojob_deleted_mid_render_leaves_no_process_behind(cluster: Cluster) -> None:
    cluster.install("api.replicas=0")
    cluster.create("squirrel", **SLOW)
    wait_until_rendering(cluster, "squirrel")
    cluster.delete("squirrel")
    wait_for(lambda: not cluster.pods("squirrel"), "the end of the pod", seconds=60)
    renderers = [p for p in psutil.process_iter(["environ"]) if (p.info["environ"] or {}).get("VIDEOJOB_NAME")]
    assert [p for p in renderers if p.info["environ"]["VIDEOJOB_NAMESPACE"] == cluster.namespace] == []
