"""The benchmark of GPUs runs on a machine that has only torch, transformers, diffusers and imageio-ffmpeg."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch

ROOT = Path(__file__).resolve().parents[2]
NOT_THERE = ("pydantic", "kopf", "fastapi")  # boto3 and pynvml are imported by accelerate where it finds them


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the benchmark on tiny models, without what such a machine lacks."""
    folder = tmp_path_factory.mktemp("bench")
    for name in NOT_THERE:
        (folder / f"{name}.py").write_text(f"raise ModuleNotFoundError({name!r}, name={name!r})\n")
    output = folder / "results/gpu.json"
    command = [sys.executable, "bench/gpu.py", "--tiny", "--cpu", "--models", "5b", "--output", str(output)]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    run = subprocess.run(
        [*command, "--skip", "compile", "load", "start"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    content: dict[str, Any] = json.loads(output.read_text())
    return content


def test_no_measurement_fails(record: dict[str, Any]) -> None:
    measured = record["measurements"]
    assert {name: entry for name, entry in measured.items() if "error" in entry} == {}
    skipped = {name for name, entry in measured.items() if "skipped" in entry}
    assert skipped == {"5b/step/flash+compile", "5b/step/fp8+compile", "5b/load", "5b/start/write"}
    assert record["finished"]
    assert record["torch"]


def test_what_must_be_equal_is_equal(record: dict[str, Any]) -> None:
    measured = record["measurements"]
    assert measured["5b/identity/resume"]["result"]["identical"]
    assert measured["5b/identity/stock-pipeline"]["result"]["flash"]["identical"]
    assert measured["5b/stock/decode"]["result"]["frames_identical"]


def test_each_cache_saves_something(record: dict[str, Any]) -> None:
    for cache in ("pyramidAttention", "taylorSeer"):
        done, whole = record["measurements"][f"5b/cache/{cache}"]["result"]["attentions_done"].split("/")
        assert int(done) < int(whole)


def test_a_process_is_followed_from_its_start_to_its_first_step(tmp_path: Path) -> None:
    output = tmp_path / "gpu.json"
    command = [sys.executable, "bench/gpu.py", "--tiny", "--cpu", "--models", "5b", "--output", str(output)]
    others = ("step/", "end-to-end", "decode", "identity", "cache/", "load", "start/embedding-cache")
    subprocess.run([*command, "--skip", *others], cwd=ROOT, capture_output=True, check=True)
    measured = json.loads(output.read_text())["measurements"]
    reached = measured["5b/start/whole"]["result"]["seconds_since_start"]
    assert list(reached) == ["interpreter", "imported", "loaded", "encoded", "first_step", "second_step"]
    assert sorted(reached.values()) == list(reached.values())
