"""docs/api.md: its commands run, and it leaves nothing out."""

import asyncio
import os
import re
import subprocess
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cluster import Cluster
from tests.api.conftest import ending_jobs, keyed, serving

from videojob_api import errors
from videojob_api.app import create_app
from videojob_api.openai.answers import Video
from videojob_api.openai.requests import VideoRequest
from videojob_api.settings import Settings

PAGE = (Path(__file__).resolve().parents[2] / "docs/api.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
WAITING = "waiting"
KEYED = "VIDEOJOB_KEY"
"""Stands in the examples that need a key; the others run against an API that asks for none."""


@pytest.fixture
def renderers(cluster: Cluster, finish: Callable[..., str]) -> Iterator[None]:
    """End every job but one, as operator and renderer would, as long as the test runs."""

    def complete(name: str) -> None:
        finish(name, b"an MP4", b"a JPEG")
        condition = {"type": "Succeeded", "status": "True", "reason": "Completed", "message": "the video is there"}
        status = {"conditions": [condition | {"lastTransitionTime": "2025-09-14T12:10:30Z"}]}
        cluster.patch(name, {"status": status}, "/status")

    with ending_jobs(cluster, complete, but=WAITING):
        yield


@pytest.fixture
def run(
    live: str, settings: Settings, cluster: Cluster, job_id: str, finish: Callable[..., str], tmp_path: Path
) -> Callable[[list[str]], None]:
    """Run a command as a reader of the page would, with one job that is done and one that waits."""
    finish(job_id, b"an MP4")
    cluster.create(WAITING)
    assert settings.kubeconfig
    environment = dict(
        os.environ,
        VIDEOJOB_URL=live,
        JOB=job_id,
        WAITING_JOB=WAITING,
        KUBECONFIG=settings.kubeconfig,
        PATH=f"{cluster.stack.binaries.folder}{os.pathsep}{os.environ['PATH']}",
    )

    environment["PYTHON"] = sys.executable

    def run(command: list[str]) -> None:
        ended = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert ended.returncode == 0, f"{command[-1]}\n{ended.stdout}\n{ended.stderr}"

    return run


@pytest.mark.cluster
def test_every_command_of_the_page_works(run: Callable[[list[str]], None], renderers: None, tmp_path: Path) -> None:
    commands = [block for language, block in BLOCKS if language == "sh" and KEYED not in block]
    assert len(commands) >= 12
    for command in commands:
        run(["bash", "-euo", "pipefail", "-c", command])
    assert (tmp_path / "video.mp4").read_bytes() == b"an MP4"
    assert (tmp_path / "part.mp4").read_bytes() == b"an MP4"


@pytest.mark.cluster
def test_the_python_of_the_page_works(run: Callable[[list[str]], None], renderers: None, tmp_path: Path) -> None:
    script = "\n".join(block for language, block in BLOCKS if language == "python" and KEYED not in block)
    for word in ("create_and_poll", "download_content", "remix", "Idempotency-Key", "iter_content", "/cancel"):
        assert word in script
    run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", script])
    for name in ("requests.mp4", "openai.mp4"):
        assert (tmp_path / name).read_bytes() == b"an MP4"
    assert (tmp_path / "openai.jpg").read_bytes() == b"a JPEG"


@pytest.mark.cluster
async def test_what_the_page_says_of_keys_works(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_key, key = keyed(settings, tmp_path, "editor")
    blocks = [(language, block) for language, block in BLOCKS if KEYED in block]
    assert [language for language, _ in blocks] == ["sh", "python", "python"]
    beginning = next(block for language, block in BLOCKS if language == "python")
    script = "\n".join([beginning, *(block for language, block in blocks if language == "python")])
    async with serving(create_app(with_key)) as url:
        monkeypatch.setenv("VIDEOJOB_URL", url)
        monkeypatch.setenv(KEYED, key)
        for command in (
            ["bash", "-euo", "pipefail", "-c", blocks[0][1]],
            [sys.executable, "-W", "ignore", "-c", script],
        ):
            ended = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT)
            told, _ = await ended.communicate()
            assert ended.returncode == 0, told.decode()


def test_every_block_of_the_page_is_run() -> None:
    assert {language for language, _ in BLOCKS} == {"sh", "python"}


async def test_every_route_is_on_the_page(away: httpx.AsyncClient) -> None:
    for path, operations in (await away.get("/openapi.json")).json()["paths"].items():
        for method in operations:
            assert f"`{method.upper()} {path}`" in PAGE


def test_every_field_of_a_request_is_on_the_page() -> None:
    assert [field for field in VideoRequest.model_fields if f"`{field}`" not in PAGE] == []


def test_every_field_of_a_video_is_on_the_page() -> None:
    assert [field for field in Video.model_fields if f'"{field}"' not in PAGE] == []


def test_every_code_is_on_the_page() -> None:
    parents = (errors.ApiError, errors.JobRejected, errors.Unavailable)
    classes = [errors.ApiError, *(kind for parent in parents for kind in parent.__subclasses__())]
    codes = {kind.code for kind in classes if kind is not errors.Unavailable}
    assert len(codes) > 10
    assert [code for code in codes if f"`{code}`" not in PAGE] == []
