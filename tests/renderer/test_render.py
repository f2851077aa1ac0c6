"""A whole render inside this process: what it hands over, and how its stages fail."""

import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from memory_storage import MemoryStorage
from safetensors.torch import load_file, save_file

from videojob.phases import Stage
from videojob.resolve import ResolvedRequest
from videojob.status import Artifact, Artifacts
from videojob_renderer.checkpoint_store import CheckpointStore
from videojob_renderer.environment import Settings
from videojob_renderer.errors import DiskFull, NonFiniteLatents
from videojob_renderer.interruption import Interruption
from videojob_renderer.render import render
from videojob_renderer.report import Reporter
from videojob_renderer.status import Status, StatusWriter

pytestmark = pytest.mark.torch

MakeRequest = Callable[..., ResolvedRequest]


class KeepingUploader:
    """Keeps what is uploaded; S3 itself is the business of other tests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def upload(self, file: Path, content_type: str) -> Artifact:
        self.files[file.name] = file.read_bytes()
        return Artifact(uri=f"s3://videos/{file.name}", content_type=content_type)


@pytest.fixture
def uploader() -> KeepingUploader:
    return KeepingUploader()


@pytest.fixture
def statuses() -> list[Status]:
    return []


@pytest.fixture
def render_it(uploader: KeepingUploader, statuses: list[Status]) -> Iterator[Callable[..., Artifacts]]:
    """Render a request; the reporter is closed afterwards."""
    reporters: list[Reporter] = []

    def render_it(request: ResolvedRequest) -> Artifacts:
        settings = Settings("squirrel", "studio", "uid-1", "pod", "https://api", Path("/t"), "b", "", None, request)
        reporter = Reporter(settings, StatusWriter(statuses.append, interval_seconds=0))
        reporters.append(reporter)
        reporter.enter(Stage.LOADING)
        taking: Any = uploader
        storage: Any = MemoryStorage()
        with CheckpointStore(settings, storage) as store:
            return render(
                settings, storage, store=store, uploader=taking, reporter=reporter, interruption=Interruption()
            )

    yield render_it
    for reporter in reporters:
        reporter.abandon(patience_seconds=30)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    make_request: MakeRequest,
    render_it: Callable[..., Artifacts],
    uploader: KeepingUploader,
    model_folder: Path,
) -> None:
    videos = []
    for seed in (7, 7, 8):
        render_it(make_request(source=str(model_folder), seed=seed))
        videos.append(uploader.files["video.mp4"])
    assert videos[0] == videos[1] != videos[2]


def test_every_stage_is_reported_in_order_with_a_time(
    make_request: MakeRequest, render_it: Callable[..., Artifacts], statuses: list[Status], model_folder: Path
) -> None:
    before = datetime.now(UTC)
    artifacts = render_it(make_request(source=str(model_folder)))
    assert artifacts.video is not None
    assert artifacts.thumbnail is not None
    stages = [status["progress"]["stage"] for status in statuses if "progress" in status]
    assert list(dict.fromkeys(stages)) == sorted(set(stages), key=[*Stage].index)
    times = [datetime.fromisoformat(status["progress"]["updatedTime"]) for status in statuses if "progress" in status]
    assert before <= times[0]
    assert times == sorted(times)


def test_a_model_that_gives_nan_fails_instead_of_giving_black_frames(
    make_request: MakeRequest,
    render_it: Callable[..., Artifacts],
    uploader: KeepingUploader,
    broken_model: Path,
) -> None:
    with pytest.raises(NonFiniteLatents, match="step 1 of 3"):
        render_it(make_request(source=str(broken_model)))
    assert uploader.files == {}


def test_a_full_disk_is_told_as_such(
    make_request: MakeRequest,
    render_it: Callable[..., Artifacts],
    model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("videojob_renderer.outputs.VIDEO_NAME", "full.mp4")
    folder = tmp_path / "scratch"
    folder.mkdir()
    (folder / "full.mp4").symlink_to("/dev/full")

    class Scratch(tempfile.TemporaryDirectory[str]):
        def __enter__(self) -> str:
            return str(folder)

    monkeypatch.setattr("tempfile.TemporaryDirectory", Scratch)
    with pytest.raises(DiskFull):
        render_it(make_request(source=str(model_folder)))


@pytest.fixture
def broken_model(model_folder: Path, tmp_path: Path) -> Path:
    """A model whose transformer gives NaN."""
    for file in model_folder.rglob("*"):
        if file.is_file():
            copy = tmp_path / "broken" / file.relative_to(model_folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    weights = tmp_path / "broken/transformer/diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors["proj_out.bias"][:] = float("nan")
    save_file(tensors, weights, metadata={"format": "pt"})
    return tmp_path / "broken"
