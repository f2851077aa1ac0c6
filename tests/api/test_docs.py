"""docs/api.md: its commands run, and it leaves nothing out."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cluster import Cluster

from videojob_api import errors
from videojob_api.generation import FIELDS

PAGE = (Path(__file__).resolve().parents[2] / "docs/api.md").read_text()
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.cluster
def test_every_command_of_the_page_works(
    server: Any, cluster: Cluster, job_id: str, finish: Callable[..., str], tmp_path: Path
) -> None:
    finish(job_id, b"an MP4")
    cluster.create("waiting")
    environment = dict(os.environ, VIDEOJOB_URL=server.url, JOB=job_id, WAITING_JOB="waiting")
    assert len(COMMANDS) >= 8
    for command in COMMANDS:
        ended = subprocess.run(
            ["bash", "-euc", command],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    assert (tmp_path / "video.mp4").read_bytes() == b"an MP4"
    assert (tmp_path / "part.mp4").read_bytes() == b"an MP4"


async def test_every_route_is_on_the_page(away: httpx.AsyncClient) -> None:
    for path, operations in (await away.get("/openapi.json")).json()["paths"].items():
        for method in operations:
            assert f"`{method.upper()} {path}`" in PAGE


def test_every_field_of_a_request_is_on_the_page() -> None:
    assert [field for field in FIELDS if f"`{field}`" not in PAGE] == []


def test_every_code_is_on_the_page() -> None:
    classes = [errors.ApiError, *errors.ApiError.__subclasses__(), *errors.Unavailable.__subclasses__()]
    codes = {kind.code for kind in classes if kind is not errors.Unavailable}
    assert len(codes) > 10
    assert [code for code in codes if f"`{code}`" not in PAGE] == []
