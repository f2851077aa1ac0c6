"""Each way a render can fail, as a process: its exit code, its reason word, and a sentence that somebody can act on."""

import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from recording_api import RecordingApi
from renderer_process import RendererProcess, environment
from safetensors.torch import load_file, save_file
from types_boto3_s3 import S3Client

from videojob.exits import ExitCode
from videojob.reasons import Reason
from videojob.resolve import ResolvedRequest
from videojob.status import Artifacts
from videojob_local.s3 import Storage
from videojob_renderer.driver import Driver, why_cuda_fails

pytestmark = pytest.mark.torch

SECRET = "A squirrel that nobody may read of"
WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"

NOT_INITIALIZED = (
    "Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before calling NumCudaDevices() that "
    "might have already set an error? Error 802: system not yet initialized"
)

Run = Callable[..., RendererProcess]


@pytest.fixture
def run(
    tmp_path: Path,
    api: RecordingApi,
    storage: Storage,
    make_request: Callable[..., ResolvedRequest],
    model_folder: Path,
) -> Run:
    """Start a renderer; its request and its environment can be changed."""

    def run(environ: dict[str, str] | None = None, wrapper: tuple[str, ...] = (), **changes: object) -> RendererProcess:
        request = make_request(**({"prompt": SECRET, "source": str(model_folder), "steps": 1} | changes))
        told = environment(request, api_port=api.port, token_dir=api.token_dir, storage=storage.environment())
        return RendererProcess(tmp_path, told | (environ or {}), wrapper)

    return run


def hold_kept(run: RendererProcess, stored: S3Client) -> None:
    """Hold a renderer to its last words: the video that they name is in S3."""
    video = Artifacts.model_validate(run.last_words["artifacts"]).video
    assert video is not None
    answer = stored.head_object(Bucket="videos", Key=video.uri.removeprefix("s3://videos/"))
    assert answer["ContentLength"] == video.bytes


def hold_end(run: RendererProcess, code: ExitCode, reason: Reason, *words: str) -> None:
    """It ended so, said so, and told no more than it may."""
    assert run.wait() == code, run.text
    assert run.last_words["reason"] == reason
    for word in words:
        assert word in run.last_words["message"]
    assert "\n" not in run.last_words["message"]
    assert SECRET not in run.text
    assert SECRET not in run.termination_log.read_text()
    assert not list(run.scratch.glob("videojob-*"))


@pytest.fixture
def model(model_folder: Path, tmp_path: Path) -> Path:
    """A model folder that may be damaged."""
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


def test_a_size_that_no_model_renders(run: Run) -> None:
    words = "width times height must be at most 1044480"
    hold_end(run(width=4096, height=2160), ExitCode.INVALID_REQUEST, Reason.INVALID_REQUEST, words)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "the secret key of storage is not the one of its access key"),
        ({"VIDEOJOB_S3_BUCKET": "vidoes"}, "is storage.bucket spelled right?"),
    ],
)
def test_a_storage_that_refuses_is_told_before_anything_is_loaded(
    run: Run, api: RecordingApi, environ: dict[str, str], words: str
) -> None:
    hold_end(run(environ), ExitCode.FAILED, Reason.STORAGE_UNAVAILABLE, "S3 refused s3://", words)
    assert {progress["stage"] for progress in api.progress} == {"Loading"}


def test_a_scratch_folder_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    started = run({"TMPDIR": str(tmp_path / "gone")})
    hold_end(started, ExitCode.FAILED, Reason.DISK_UNWRITABLE, f"{tmp_path}/gone (TMPDIR) cannot be written")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine's GPU is visible")
def test_a_gpu_that_was_given_and_is_not_there(run: Run) -> None:
    words = "the pod was given a GPU (GPU-8a1f), but its container has none"
    hold_end(run({"NVIDIA_VISIBLE_DEVICES": "GPU-8a1f"}), ExitCode.GPU_FAULT, Reason.GPU_FAULT, words)


def test_weights_that_are_cut_off(run: Run, model: Path) -> None:
    (model / WEIGHTS).write_bytes((model / WEIGHTS).read_bytes()[:-100])
    words = f"{model / WEIGHTS} is damaged"
    hold_end(run(source=str(model)), ExitCode.FAILED, Reason.WEIGHTS_UNAVAILABLE, words)


def test_a_model_that_gives_nan(run: Run, model: Path) -> None:
    tensors = load_file(model / WEIGHTS)
    tensors["proj_out.bias"][:] = float("nan")
    save_file(tensors, model / WEIGHTS, metadata={"format": "pt"})
    words = "NaN or infinity in step 1 of 1"
    hold_end(run(source=str(model)), ExitCode.FAILED, Reason.NON_FINITE_LATENTS, words)


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")
def test_memory_that_runs_out(run: Run, api: RecordingApi) -> None:
    started = run(num_frames=49, width=720, height=480, steps=200)
    started.wait_until(lambda: any(progress["stage"] == "Denoising" for progress in api.progress), "the first step")
    used = int(Path(f"/proc/{started.pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(started.pid, resource.RLIMIT_AS, (used + 2**20, used + 2**20))
    hold_end(started, ExitCode.FAILED, Reason.OUT_OF_MEMORY, "ran out of memory in stage Denoising", "Fewer frames")


def _can_mount() -> bool:
    if not shutil.which("unshare"):
        return False
    argv = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _can_mount(), reason="this user may not mount a disk of 16 KiB")
def test_a_disk_that_is_full(run: Run) -> None:
    script = 'mount -t tmpfs -o size=16k none "$TMPDIR" && exec "$@"'
    started = run(wrapper=("unshare", "-rm", "sh", "-c", script, "sh"), num_frames=17, width=192, height=128)
    hold_end(started, ExitCode.FAILED, Reason.DISK_FULL, "there is no space left on this node")


def test_a_result_that_cannot_be_recorded_is_kept_and_named(run: Run, api: RecordingApi, stored: S3Client) -> None:
    api.refuses_results = True
    started = run({"VIDEOJOB_POD_NAME": "squirrel-unrecorded"})
    hold_end(started, ExitCode.FAILED, Reason.RENDERER_FAILED, "the API server answered 422 to the status")
    hold_kept(started, stored)


def test_a_result_that_finds_no_api_server_is_left_to_the_operator(
    run: Run, api: RecordingApi, stored: S3Client
) -> None:
    api.loses_results = True
    started = run({"VIDEOJOB_POD_NAME": "squirrel-left"})
    started.wait_until(lambda: "artifacts" in str(api.statuses[-1:]), "the first try to record the result")
    started.terminate()  # a minute of patience is left to it then
    assert started.wait() == ExitCode.OK, started.text
    assert started.last_words["reason"] == "Completed"
    hold_kept(started, stored)


def test_a_storage_that_is_away_is_waited_for_until_somebody_asks_to_stop(
    run: Run, api: RecordingApi, unused_endpoint: str
) -> None:
    started = run({"AWS_ENDPOINT_URL_S3": unused_endpoint})
    started.wait_until(lambda: any(each["stage"] == "Uploading" for each in api.progress), "the upload")
    started.terminate()
    hold_end(started, ExitCode.INTERRUPTED, Reason.INTERRUPTED, "asked to stop")
    assert api.progress[-1]["stage"] == "Uploading"
    assert "artifacts" not in started.last_words


@pytest.fixture
def unused_endpoint(free_port: int) -> str:
    return f"http://127.0.0.1:{free_port}"


@pytest.mark.parametrize(
    ("driver", "built_for", "said", "words"),
    [
        (
            Driver("535.104.05", (12, 2)),
            "13.0",
            "",
            "535.104.05 is too old: it runs CUDA up to 12.2, and this image needs",
        ),
        (Driver("535.104.05", (12, 2)), "13.0", "", "update the driver to 580.65 or newer"),
        (Driver("535.104.05", (12, 2)), "12.8", "", "is new enough (CUDA 12.2); look for Xid errors"),
        (Driver("580.82", (13, 0)), "13.0", "", "Xid errors"),
        (
            Driver("580.82", (13, 0)),
            "13.0",
            NOT_INITIALIZED,
            "(CUDA 13.0): Error 802: system not yet initialized; where",
        ),
        (Driver("580.82", (13, 0)), "13.0", NOT_INITIALIZED, "nvidia-fabricmanager must run"),
        (
            Driver("580.82", (13, 0)),
            "13.0",
            "No CUDA GPUs are available\nmore",
            "(CUDA 13.0): No CUDA GPUs are available; look",
        ),
        (Driver("580.82", (13, 0)), None, "", "torch is built without CUDA"),
        (None, "13.0", "", "the driver does not tell its version"),
    ],
)
def test_a_driver_that_does_not_fit_is_told_with_both_versions(
    driver: Driver | None, built_for: str | None, said: str, words: str
) -> None:
    assert words in why_cuda_fails(driver, built_for, said)
