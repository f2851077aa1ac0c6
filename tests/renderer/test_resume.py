"""A render that is killed at any step is continued by the next pod, and ends with the same bytes."""

import time
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
from videojob.speed_choices import Memory
from videojob.status import AppliedSpeed
from videojob_local.s3 import Storage
from videojob_renderer.checkpoint import decode
from videojob_renderer.denoise_stage import encode, make_plan, run_denoise_stage
from videojob_renderer.image_input import InputImage
from videojob_renderer.interruption import Interruption
from videojob_renderer.pipeline import LoadedPipeline
from videojob_renderer.resume import Found
from videojob_renderer.speed.accelerate import Accelerated
from videojob_renderer.speed.ladder import Ladder
from videojob_renderer.tiny import build_tiny, make_tiny

pytestmark = pytest.mark.torch

CHECKPOINT = f"studio/{UID}/checkpoint/state.safetensors"
IMAGE = InputImage(Image.linear_gradient("L").convert("RGB"), "0" * 64)
CPU = torch.device("cpu")
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
        plan = make_plan(loaded, request, image, Found.read(found))
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


def test_a_pod_goes_on_where_a_render_that_ran_out_of_memory_was_and_as_slowly(
    make_request: MakeRequest, model_folder: Path
) -> None:
    """The first step is computed with compiled blocks, the others offloaded without: a checkpoint says which."""
    request = request_of(make_request, Family.COGVIDEOX_5B)
    applied = AppliedSpeed(attention="flash", compile="regional", fp8=False, cache="none", cfg_parallel=1)

    def run(found: bytes | None, *, runs_out: bool = False) -> tuple[Memory, torch.Tensor, list[bytes]]:
        pipeline: Any = build_tiny(Family.COGVIDEOX_5B)
        loaded = LoadedPipeline(pipeline, CPU, torch.float32, (model_folder,), None)
        accelerated = Accelerated(Ladder(pipeline, CPU), applied)
        left = Found.read(found)
        accelerated.follow(left.fingerprint)
        first_rung = accelerated.ladder.rung
        plan = make_plan(loaded, request, None, left, accelerated.arithmetic)
        assert (plan.beginning.ignored, plan.beginning.step > 0) == (None, found is not None)
        conditioning = encode(loaded, request, None, plan)
        left = iter([False, runs_out])

        def run_out(_module: Any, _arguments: Any) -> None:
            if next(left, False):
                raise torch.OutOfMemoryError

        pipeline.transformer.transformer_blocks[1].register_forward_pre_hook(run_out)
        store: Any = EachStep()
        latents = run_denoise_stage(
            loaded,
            plan,
            conditioning,
            store=store,
            interruption=Interruption(),
            ladder=accelerated.ladder,
            speed=lambda: accelerated.arithmetic,
        )
        return first_rung, latents, store.written

    _, undisturbed, checkpoints = run(None, runs_out=True)
    assert [decode(each).fingerprint["speed compile"] for each in checkpoints] == ["regional", "off", "off", "off"]
    for found, expected in zip(checkpoints, [Memory.RESIDENT, *[Memory.OFFLOAD] * 3], strict=True):
        rung, latents, _ = run(found)
        assert rung is expected
        assert torch.equal(latents, undisturbed)


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


def resumed_from(api: RecordingApi) -> int | None:
    """Return the step from which the latest pod went on, as far as it has said so."""
    told = [status["renderer"]["resumedFromStep"] for status in api.statuses if "renderer" in status]
    return told[-1] if told else None


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


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
    # So many that the first pod dies in their midst, although a checkpoint may pass over steps that went by meanwhile.
    steps = 16
    request = request_of(make_request, family, source=make_model(family), steps=steps)
    assert start(request).wait() == 0
    undisturbed = video_of(api)
    assert not has_checkpoint(stored), "removed after success"

    killed_after: list[int] = []
    pods: list[RendererProcess] = []
    for kill_after in (2, steps):  # the last: killed while it decodes

        def kill(path: str, body: bytes, first: int = kill_after) -> None:
            if path.endswith(CHECKPOINT) and (step := decode(body).state.step) >= first:
                wait_until(lambda: not killed_after or resumed_from(api), "the step that the second pod went on from")
                killed_after.append(step)
                pods[-1].kill()

        with S3Proxy(storage.endpoint, kill) as proxy:
            pods.append(start(request, proxy.endpoint))
            assert pods[-1].wait() == -9, pods[-1].text
        assert "artifacts" not in api.statuses[-1]
    assert resumed_from(api) == killed_after[0]
    assert 2 <= killed_after[0] < steps, "in the midst of the denoising"

    pod = start(request)
    assert pod.wait() == 0, pod.text
    assert video_of(api) == undisturbed
    assert resumed_from(api) == killed_after[-1] == steps
    assert not has_checkpoint(stored)
