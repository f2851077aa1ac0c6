"""The main job, end to end: the unmodified demo script against the installed chart, on the real cluster."""

import json
import os
import subprocess
import sys
from pathlib import Path

import mp4
import pytest
from cluster import ROOT, Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.torch]


def demo(base_url: str, *arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run examples/demo.py as a user would, from a folder of the user's."""
    argv = [sys.executable, str(ROOT / "examples/demo.py"), *map(str, arguments)]
    environment = dict(os.environ, BASE_URL=base_url)
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240)


def test_the_demo_gets_a_video_that_plays(cluster: Cluster, tmp_path: Path) -> None:
    cluster.install()
    result = demo(cluster.api_url, "squirrel.mp4", folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr

    video = tmp_path / "squirrel.mp4"
    kinds = mp4.boxes(video)
    assert kinds[0] == "ftyp"
    assert kinds.index("moov") < kinds.index("mdat"), "a player would have to read the whole file before it starts"
    decoded = mp4.decode(video)
    assert (decoded.codec, decoded.pixel_format, decoded.frames, decoded.fps) == ("h264", "yuv420p", 49, 12)

    said = result.stdout.splitlines()
    job_id = said[0].split()[3]
    assert said[0] == f"POST /generate -> {job_id} pending"
    statuses = [line.split()[-1] for line in said if line.startswith(f"GET /status/{job_id} -> ")]
    assert statuses[-1] == "completed"
    assert set(statuses) <= {"pending", "processing", "completed"}
    assert said[-2] == f"GET /video/{job_id} -> squirrel.mp4 ({video.stat().st_size} bytes)"
    assert said[-1].startswith("GET /health -> {")

    listed = cluster.kubectl.run("get", "videojobs", f"--namespace={cluster.namespace}", "--output=json")
    (job,) = json.loads(listed)["items"]
    assert job["metadata"]["name"] == job_id
    assert job["status"]["phase"] == "Succeeded"
    assert job["status"]["artifacts"]["video"]["bytes"] == video.stat().st_size


def test_the_demo_says_in_one_sentence_that_nobody_answers(tmp_path: Path) -> None:
    result = demo("http://127.0.0.1:9", folder=tmp_path)
    assert result.returncode == 1
    assert result.stderr == "demo: http://127.0.0.1:9 does not answer (ConnectionError)\n"
