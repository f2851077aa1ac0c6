"""A prompt becomes a video: the real renderer with a tiny pipeline, on the real control plane and S3 server."""

import hashlib

import pytest
from cluster import Cluster
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
