"""A render that is killed at any step is continued by the next pod, and ends with the same bytes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from recording_api import RecordingApi
from renderer_process import UID, RendererProcess, environment
from s3_proxy import S3Proxy
from types_boto3_s3 import S3Client

from videojob.families import Family
from videojob.resolve import ResolvedRequest
from videojob_local.s3 import Storage
from videojob_renderer.checkpoint import decode
from videojob_renderer.denoise_stage import encode, make_plan, run_denoise_stage
from videojob_renderer.image_input import InputImage
from videojob_renderer.interruption import Interruption
from videojob_renderer.pipeline import LoadedPipeline
from videojob_renderer.tiny import make_tiny

pytestmark = pytest.mark.torch

CHECKPOINT = f"studio/{UID}/checkpoint/state.safetensors"
IMAGE = InputImage(Image.linear_gradient("L").convert("RGB"), "0" * 64)
STEPS = 4

Build = Callable[[Family], Any]
MakeRequest = Callable[..., ResolvedRequest]


class EachStep:
    """Stands for the store: keeps the checkpoint of every step."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def is_due(self) -> bool:
        return True

    def put(self, make: Callable[[], bytes]) -> None:
        self.written.append(make())


def request_of(make_request: MakeRequest, family: Family, **changes: Any) -> ResolvedRequest:
    values: dict[str, Any] = {"family": family, "steps": STEPS}
    if family in {Family.COGVIDEOX_1_5, Family.COGVIDEOX_1_5_I2V}:
        values["num_frames"] = 17
    if family.takes_image:
        values |= {"image": "s3://videos/inputs/studio/first.png", "width": 96, "height": 64}
    return make_request(**values | changes)


@pytest.mark.parametrize("family", Family)
def test_the_rest_follows_from_the_checkpoint_of_any_step(
    build_pipeline: Build, make_request: MakeRequest, model_folder: Path, family: Family
) -> None:
    loaded = LoadedPipeline(build_pipeline(family), torch.device("cpu"), torch.float32, (model_folder,), None)
    request = request_of(make_request, family, seed=None)
    image = IMAGE if family.takes_image else None

    def run(found: bytes | None) -> tuple[torch.Tensor, list[bytes]]:
        store: Any = EachStep()
        plan = make_plan(loaded, request, image, found)
        assert plan.beginning.ignored is None
        conditioning = encode(loaded, request, image, plan)
        latents = run_denoise_stage(loaded, plan, conditioning, store=store, interruption=Interruption())
        return latents, store.written

    undisturbed, checkpoints = run(None)
    assert [decode(content).state.step for content in checkpoints] == [1, 2, 3, 4]
    for done, content in enumerate(checkpoints, start=1):
        latents, later = run(content)
        assert torch.equal(latents, undisturbed), f"after {done} steps"
        assert [decode(each).state.step for each in later] == [*range(done + 1, STEPS + 1)]


Start = Callable[..., RendererProcess]


@pytest.fixture
def start(tmp_path: Path, api: RecordingApi, storage: Storage) -> Iterator[Start]:
    """Start one pod's renderer after another; each writes a checkpoint after each step."""
    started: list[RendererProcess] = []

    def start(request: ResolvedRequest, endpoint: str | None = None, **changes: str) -> RendererProcess:
        folder = tmp_path / f"pod-{len(started) + 1}"
        folder.mkdir()
        told = environment(request, api_port=api.port, token_dir=api.token_dir, storage=storage.environment())
        told |= {"VIDEOJOB_POD_NAME": f"squirrel-{len(started) + 1}", "VIDEOJOB_CHECKPOINT_SECONDS": "0"}
        if endpoint:
            told["AWS_ENDPOINT_URL_S3"] = endpoint
        started.append(RendererProcess(folder, told | changes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[[Family], str]:
    def make_model(family: Family) -> str:
        make_tiny(tmp_path / "model", family)
        return str(tmp_path / "model")

    return make_model


def video_of(api: RecordingApi) -> str:
    sha256: str = api.statuses[-1]["artifacts"]["video"]["sha256"]
    return sha256


def has_checkpoint(stored: S3Client) -> bool:
    return "Contents" in stored.list_objects_v2(Bucket="videos", Prefix=CHECKPOINT)


@pytest.mark.timeout(900)  # four processes, each of which imports torch
@pytest.mark.parametrize("family", [Family.COGVIDEOX_2B, Family.COGVIDEOX_5B, Family.COGVIDEOX_1_5])
def test_pods_that_are_killed_end_with_the_video_of_an_undisturbed_one(
    start: Start,
    make_request: MakeRequest,
    make_model: Callable[[Family], str],
    api: RecordingApi,
    storage: Storage,
    stored: S3Client,
    family: Family,
) -> None:
    request = request_of(make_request, family, source=make_model(family))
    assert start(request).wait() == 0
    undisturbed = video_of(api)
    assert not has_checkpoint(stored), "removed after success"

    killed_after = 0
    pods: list[RendererProcess] = []
    for kill_after in (2, STEPS):  # the last: killed while it decodes

        def kill(path: str, body: bytes, first: int = kill_after) -> None:
            nonlocal killed_after
            if path.endswith(CHECKPOINT) and (step := decode(body).state.step) >= first:
                killed_after = step
                pods[-1].kill()

        with S3Proxy(storage.endpoint, kill) as proxy:
            pods.append(start(request, proxy.endpoint))
            assert pods[-1].wait() == -9, pods[-1].text
        assert killed_after >= kill_after
        assert "artifacts" not in api.statuses[-1]

    pod = start(request)
    assert pod.wait() == 0, pod.text
    assert video_of(api) == undisturbed
    assert api.statuses[-1]["renderer"]["resumedFromStep"] == killed_after == STEPS
    assert not has_checkpoint(stored)
