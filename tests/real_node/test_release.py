"""The chart with the three images on a real node: a REST call ends in an MP4, whatever happens to pods on the way.

The tests share one installation and run in their order; the last ones change it.
"""

import json
from pathlib import Path

import httpx
import mp4
import pytest
from cluster import Kubectl, Manifest, wait_for
from real_cluster import RealCluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

QUICK = {"numFrames": 9, "width": 64, "height": 64, "steps": 2}
LONG = QUICK | {"steps": 200, "seed": 7}
"""Long enough to be disturbed in the middle."""


def step_of(studio: RealCluster, name: str) -> int:
    return int(((studio.get(name) or {}).get("status", {}).get("progress") or {}).get("step") or 0)


def in_the_middle(studio: RealCluster, name: str) -> Manifest:
    """Wait until a job has done some steps, and return its running pod."""
    studio.wait_for_phase(name, "Running", seconds=180)
    wait_for(lambda: step_of(studio, name) >= 5, f"the fifth step of {name}", seconds=120)
    return next(pod for pod in studio.pods(name) if pod["status"]["phase"] == "Running")


def sha256(video_job: Manifest) -> str:
    return str(video_job["status"]["artifacts"]["video"]["sha256"])


@pytest.fixture(scope="session")
def undisturbed(studio: RealCluster) -> Manifest:
    """The long job as it ends when nobody disturbs it."""
    studio.create("undisturbed", **LONG)
    return studio.wait_for_phase("undisturbed", "Succeeded", seconds=300)


def test_the_namespace_refuses_pods_that_are_not_restricted(studio: RealCluster, real_kubectl: Kubectl) -> None:
    refused = real_kubectl("run", "bad", "--image=localhost/videojob-api:e2e", f"--namespace={studio.namespace}")
    assert refused.returncode != 0
    assert 'violates PodSecurity "restricted' in refused.stderr


def test_a_call_through_the_service_ends_in_an_mp4(rest: httpx.Client, studio: RealCluster, tmp_path: Path) -> None:
    assert httpx.post(rest.base_url.join("/generate"), json={"prompt": "a stranger"}).status_code == 401
    answer = rest.post("/generate", json={"prompt": "a squirrel", "num_frames": 49, "fps": 12})
    assert answer.status_code < 300, answer.text
    job_id = answer.json()["job_id"]
    done = studio.wait_for_phase(job_id, "Succeeded", seconds=300)
    assert done["status"]["nodeName"] == studio.stack.network.name  # type: ignore[attr-defined]
    assert done["status"]["renderer"]["image"] == "localhost/videojob-renderer:e2e"

    video = tmp_path / "video.mp4"
    video.write_bytes(rest.get(f"/video/{job_id}").raise_for_status().content)
    decoded = mp4.decode(video)
    assert (decoded.codec, decoded.pixel_format, decoded.frames, decoded.fps) == ("h264", "yuv420p", 49, 12)


def test_the_renderer_runs_without_rights(studio: RealCluster) -> None:
    studio.create("rights", **LONG)
    pod = in_the_middle(studio, "rights")
    process = studio.renderer_process(pod["metadata"]["uid"])
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
    assert status["Uid"].split() == ["65532"] * 4
    assert status["CapBnd"] == "0" * 16
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    studio.patch("rights", {"spec": {"cancel": True}})
    studio.wait_for_phase("rights", "Cancelled")
    wait_for(lambda: not process.is_running(), "the end of the cancelled renderer", seconds=60)


def test_a_killed_renderer_is_resumed_with_the_same_result(studio: RealCluster, undisturbed: Manifest) -> None:
    studio.create("killed", **LONG)
    pod = in_the_middle(studio, "killed")
    studio.wait_for_checkpoint("killed")
    studio.renderer_process(pod["metadata"]["uid"]).kill()
    done = studio.wait_for_phase("killed", "Succeeded", seconds=300)
    assert done["status"]["attempts"] == 2
    assert done["status"]["renderer"]["resumedFromStep"] >= 1
    assert sha256(done) == sha256(undisturbed)


def test_an_evicted_pod_is_replaced_free_of_charge(studio: RealCluster, undisturbed: Manifest) -> None:
    studio.create("evicted", spec={"backoffLimit": 0}, **LONG)
    pod = in_the_middle(studio, "evicted")
    studio.wait_for_checkpoint("evicted")
    studio.evict(pod["metadata"]["name"])
    done = studio.wait_for_phase("evicted", "Succeeded", seconds=300)
    assert done["status"]["attempts"] == 2
    assert done["status"]["renderer"]["resumedFromStep"] >= 1
    assert sha256(done) == sha256(undisturbed)


def test_a_pod_over_its_memory_limit_is_told_as_out_of_memory(studio: RealCluster) -> None:
    studio.create("hungry", spec={"profile": "small", "backoffLimit": 0}, **QUICK)
    failed = studio.wait_for_phase("hungry", "Failed", seconds=180)
    assert failed["status"]["reason"] == "OutOfMemory"
    (pod,) = studio.pods("hungry")
    (container,) = pod["status"]["containerStatuses"]
    assert container["state"]["terminated"]["reason"] == "OOMKilled"


def test_a_request_that_the_renderer_refuses_is_not_tried_again(studio: RealCluster) -> None:
    studio.create("garbled", spec={"profile": "garbled"}, **QUICK)
    failed = studio.wait_for_phase("garbled", "Failed", seconds=180)
    assert failed["status"]["reason"] == "InvalidRequest"
    assert len(studio.pods("garbled")) == 1


def test_a_new_operator_takes_a_running_job_over(studio: RealCluster, real_kubectl: Kubectl) -> None:
    studio.create("handed-over", **LONG)
    in_the_middle(studio, "handed-over")
    job = studio.job("handed-over")
    place = f"--namespace={studio.namespace}"
    real_kubectl.run("rollout", "restart", "deployment/videojob-operator", place)
    real_kubectl.run("rollout", "status", "deployment/videojob-operator", place, "--timeout=180s")
    studio.wait_for_phase("handed-over", "Succeeded", seconds=300)
    after = studio.job("handed-over")
    assert job
    assert after
    assert job["metadata"]["uid"] == after["metadata"]["uid"]
    assert len(studio.pods("handed-over")) == 1


def test_an_upgrade_in_the_middle_of_a_job_loses_nothing(studio: RealCluster) -> None:
    studio.create("upgraded", **LONG)
    in_the_middle(studio, "upgraded")
    studio.install(operator={"image": {"tag": "e2e"}, "podAnnotations": {"example.com/upgrade": "1"}})
    assert studio.wait_for_phase("upgraded", "Succeeded", seconds=300)["status"]["attempts"] == 1


def test_a_rollback_leaves_a_release_that_works(studio: RealCluster) -> None:
    studio.helm("rollback", "videojob", "--wait", "--timeout=300s")
    studio.create("rolled-back", **QUICK)
    studio.wait_for_phase("rolled-back", "Succeeded", seconds=180)


def test_the_charts_own_test_passes(studio: RealCluster) -> None:
    assert "Succeeded" in studio.helm("test", "videojob", "--timeout=180s")


def test_what_was_made_outlives_the_release(studio: RealCluster, real_kubectl: Kubectl) -> None:
    studio.helm("uninstall", "videojob", "--wait", "--timeout=180s")
    listed = real_kubectl.run("get", "videojobs", f"--namespace={studio.namespace}", "--output=json")
    assert {"undisturbed", "rolled-back"} <= {item["metadata"]["name"] for item in json.loads(listed)["items"]}
