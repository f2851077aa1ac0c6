"""Requests, tiny pipelines and a stand-by API server for the tests of the renderer."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from videojob.families import Family
from videojob.resolve import ResolvedRequest

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
