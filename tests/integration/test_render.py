"""A prompt becomes a video: the real renderer with a tiny pipeline, on the real control plane and S3 server."""

import contextlib
import hashlib

import psutil
import pytest
from cluster import Cluster, wait_for
from types_boto3_s3 import S3Client

pytestmark = pytest.mark.cluster


def test_a_prompt_becomes_a_video(cluster: Cluster, s3: S3Client, bucket: str) -> None:
    cluster.install("api.replicas=0")
    here = f"--namespace={cluster.namespace}"
    cluster.create("squirrel", fps=12)
    cluster.kubectl.run("wait", here, "--for=condition=Succeeded", "vj/squirrel", "--timeout=120s")
    status = (cluster.get("squirrel") or {})["status"]
    assert status["phase"] == "Succeeded"
    assert status["attempts"] == 1
    assert status["resolved"] == {
        "model": "CogVideoX-tiny",
        "numFrames": 9,
        "width": 64,
        "height": 64,
        "fps": 12,
        "steps": 2,
        "guidanceScale": 6,
        "seed": 1,
    }
    assert status["progress"]["percent"] == 100
    assert status["renderer"]["diffusers"]
    video = status["artifacts"]["video"]
    assert (video["frames"], video["fps"], video["width"], video["height"]) == (9, 12, 64, 64)
    key = video["uri"].removeprefix(f"s3://{bucket}/")
    stored = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    assert len(stored) == video["bytes"]
    assert hashlib.sha256(stored).hexdigest() == video["sha256"]
    assert "Succeeded" in cluster.kubectl.run("get", here, "vj", "squirrel")


def test_a_seed_that_was_drawn_is_recorded_and_gives_the_same_video_again(cluster: Cluster) -> None:
    cluster.install("api.replicas=0")
    cluster.create("first", seed=None)
    first = cluster.wait_for_phase("first", "Succeeded", seconds=120)["status"]
    cluster.create("second", seed=first["resolved"]["seed"])
    second = cluster.wait_for_phase("second", "Succeeded", seconds=120)["status"]
    assert first["artifacts"]["video"]["sha256"] == second["artifacts"]["video"]["sha256"]


def kill_renderer(pod_name: str) -> None:
    """Send SIGKILL to the renderer of a pod, as a node does that loses its power or its memory."""
    for process in psutil.process_iter(["cmdline"]):
        with contextlib.suppress(psutil.Error):
            is_renderer = "videojob_renderer" in (process.info["cmdline"] or [])
            if is_renderer and process.environ().get("VIDEOJOB_POD_NAME") == pod_name:
                process.kill()
                return
    raise AssertionError(f"no process of the pod {pod_name}")


def keys_of_renderer(pod_name: str) -> set[str]:
    """Return the variables of the renderer of a pod that would open the bucket."""
    secret = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
    for process in psutil.process_iter(["cmdline"]):
        with contextlib.suppress(psutil.Error):
            is_renderer = "videojob_renderer" in (process.info["cmdline"] or [])
            if is_renderer and (variables := process.environ()).get("VIDEOJOB_POD_NAME") == pod_name:
                return secret & variables.keys()
    raise AssertionError(f"no process of the pod {pod_name}")


def test_a_pod_that_is_killed_is_continued_by_the_next_one(cluster: Cluster, s3: S3Client, bucket: str) -> None:
    """Neither of the two has keys of S3: checkpoints, embeddings and videos go by URLs that the API signs."""
    each_step = {"gpus": 0, "env": [{"name": "VIDEOJOB_CHECKPOINT_SECONDS", "value": "0"}]}
    cluster.install(profiles={"each-step": each_step})
    for name in ("undisturbed", "killed"):
        cluster.create(name, spec={"profile": "each-step"}, steps=200)
    folder = f"{cluster.namespace}/{(cluster.get('killed') or {})['metadata']['uid']}"

    def objects(prefix: str) -> list[str]:
        return [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]

    wait_for(lambda: objects(folder), "a checkpoint", seconds=120)
    wait_for(lambda: len(objects(f"embeddings/{cluster.namespace}/")) == 2, "embeddings of two texts", seconds=120)
    (pod,) = cluster.pods("killed")
    assert not keys_of_renderer(pod["metadata"]["name"])
    kill_renderer(pod["metadata"]["name"])
    status = cluster.wait_for_phase("killed", "Succeeded", seconds=180)["status"]
    assert status["attempts"] == 2
    assert status["renderer"]["speed"]["embeddingCache"] == "hit", "the first pod has kept them"
    assert 1 <= status["renderer"]["resumedFromStep"] <= 200
    assert not any("checkpoint" in key for key in objects(folder)), "removed after success"
    undisturbed = cluster.wait_for_phase("undisturbed", "Succeeded", seconds=120)["status"]
    assert "resumedFromStep" not in undisturbed["renderer"]
    assert status["artifacts"]["video"]["sha256"] == undisturbed["artifacts"]["video"]["sha256"]


@pytest.mark.timeout(1800)
def test_a_video_waits_for_an_api_that_is_away(cluster: Cluster) -> None:
    cluster.install()
    here = f"--namespace={cluster.namespace}"
    cluster.kubectl.run("scale", here, "deployment/videojob-api", "--replicas=0", "--timeout=120s")
    api = "--selector=app.kubernetes.io/component=api"
    wait_for(lambda: not cluster.kubectl.run("get", "pods", here, api, "--output=name"), "no API", seconds=240)
    cluster.create("patient")
    cluster.wait_for_phase("patient", "Uploading", seconds=480)
    (pod,) = cluster.pods("patient")

    def log() -> str:
        return cluster.kubectl("logs", here, pod["metadata"]["name"]).stdout

    wait_for(lambda: "S3 is away, trying on" in log(), "an upload that waits", seconds=240)
    cluster.kubectl.run("scale", here, "deployment/videojob-api", "--replicas=1", "--timeout=120s")
    status = cluster.wait_for_phase("patient", "Succeeded", seconds=480)["status"]
    assert status["attempts"] == 1
    assert status["artifacts"]["video"]["sha256"]
    assert "X-Amz-Signature" not in log()
