"""Requests, tiny pipelines, an API server that records, and a real S3 server: all that a renderer meets."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from recording_api import RecordingApi
from s3_client import s3_client
from types_boto3_s3 import S3Client

from videojob.families import Family
from videojob.resolve import ResolvedRequest
from videojob_local.processes import Processes
from videojob_local.s3 import S3Server, Storage

if TYPE_CHECKING:
    from diffusers import CogVideoXPipeline

PROMPT = "A squirrel riding a skateboard in Times Square"


@pytest.fixture
def make_request() -> Callable[..., ResolvedRequest]:
    """Make a small request; any value can be changed."""

    def make(**changes: Any) -> ResolvedRequest:
        values = {
            "prompt": PROMPT,
            "model": "CogVideoX-tiny",
            "family": Family.COGVIDEOX_2B,
            "source": "/models/tiny",
            "dtype": "bfloat16",
            "num_frames": 9,
            "width": 64,
            "height": 48,
            "fps": 8,
            "steps": 3,
            "guidance_scale": 6.0,
            "seed": 42,
        }
        return ResolvedRequest.model_validate(values | changes)

    return make


@pytest.fixture(scope="session")
def build_pipeline() -> "Callable[[Family], CogVideoXPipeline]":
    """Build a tiny pipeline of a family; each family once."""
    from functools import cache  # noqa: PLC0415

    from videojob_renderer.tiny import build_tiny  # noqa: PLC0415 - imports torch

    return cache(build_tiny)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny pipeline of family 2b; not to be changed."""
    from videojob_renderer.tiny import make_tiny  # noqa: PLC0415 - imports torch

    folder = tmp_path_factory.mktemp("models") / "tiny"
    make_tiny(folder, Family.COGVIDEOX_2B)
    return folder


@pytest.fixture
def api(tmp_path: Path) -> Iterator[RecordingApi]:
    """Where the API server is for a renderer; records its patches."""
    with RecordingApi(tmp_path / "api") as api:
        yield api


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """A real S3 server for the renderer alone: the rest of the stack would take longer to start than the tests run."""
    folder = tmp_path_factory.mktemp("storage")
    processes = Processes(folder)
    server = S3Server(folder, processes)
    try:
        server.start()
        yield server.storage
    finally:
        server.stop()


@pytest.fixture
def stored(storage: Storage) -> Iterator[S3Client]:
    """A client that sees what was uploaded."""
    client = s3_client(storage)
    yield client
    client.close()


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port of loopback that is ours and refuses connections."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
