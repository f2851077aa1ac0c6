"""`videojob-renderer fetch` as a process, against a server that plays the hub, a real S3 server and a folder."""

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_server import COMMIT, REPOSITORY, HubServer
from types_boto3_s3 import S3Client

from videojob.exits import ExitCode
from videojob.resolve import ResolvedRequest
from videojob_local.s3 import Storage
from videojob_renderer.errors import DiskFull, DiskUnwritable, WeightsUnavailable
from videojob_renderer.models import download
from videojob_renderer.models.locate import locate
from videojob_renderer.models.source import Listing, RemoteFile
from videojob_renderer.pipeline import load

pytestmark = pytest.mark.torch

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


class Fetch:
    """One run of the command."""

    def __init__(self, *arguments: str, environ: dict[str, str]) -> None:
        plain = {name: os.environ[name] for name in ("PATH", "PYTHONPYCACHEPREFIX") if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "videojob_renderer", "fetch", *arguments],
            env=plain | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def folder(self) -> Path:
        """The folder it names at its good end."""
        out, err = self.process.communicate(timeout=280)
        assert self.process.returncode == 0, err
        return Path(out.strip())

    def failure(self) -> tuple[int, str]:
        """The exit code and the last line of its bad end."""
        out, err = self.process.communicate(timeout=280)
        assert out == ""
        assert "Traceback" not in err
        return self.process.returncode, err.splitlines()[-1]


@pytest.fixture
def hub(model_folder: Path, tmp_path: Path) -> Iterator[HubServer]:
    """A hub that has the tiny model; the repository's folder may be changed."""
    repository = Path(shutil.copytree(model_folder, tmp_path / "repository"))
    (repository / "README.md").write_text("not for the renderer")
    with HubServer(repository) as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def fetch(hub: HubServer, cache: Path, tmp_path: Path) -> Iterator[Callable[..., Fetch]]:
    """Start a fetch into the cache."""
    started: list[Fetch] = []

    def fetch(*arguments: str, **environ: str) -> Fetch:
        plain = {"HF_ENDPOINT": hub.endpoint, "HOME": str(tmp_path), "VIDEOJOB_MODEL_CACHE": str(cache)}
        started.append(Fetch(*arguments, environ=plain | environ))
        return started[-1]

    yield fetch
    for run in started:
        run.process.kill()
        run.process.communicate()


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def files_of(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "videojob-files.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_a_repository_becomes_a_folder_that_renders_for_everybody(
    hub: HubServer, fetch: Callable[..., Fetch], model_folder: Path, make_request: Callable[..., ResolvedRequest]
) -> None:
    hub.answers = [503, 429]
    folder = fetch(REPOSITORY, "--revision", "v2").folder()
    assert folder.name == COMMIT
    assert files_of(folder) == files_of(model_folder), "all of the pipeline, and nothing else"
    assert load(make_request(source=str(folder))).revision is None
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o755 if path.is_dir() else 0o644), "uid 65532 reads what root has staged"

    hub.downloads.clear()
    assert fetch(REPOSITORY, "--revision", "v2").folder() == folder
    assert hub.downloads == [], "what is there is not fetched again"


def test_a_fetch_that_was_killed_goes_on_where_it_ended(
    hub: HubServer, fetch: Callable[..., Fetch], cache: Path, model_folder: Path
) -> None:
    gate = hub.gates[WEIGHTS] = threading.Event()
    size = (model_folder / WEIGHTS).stat().st_size
    first = fetch(REPOSITORY)
    wait_until(lambda: any(part.stat().st_size == size - 1 for part in cache.glob(f"*/*/{WEIGHTS}.part")), "the part")
    assert not list(cache.glob(f"*/{COMMIT}")), "half a model has no name"
    first.process.kill()
    first.process.wait()
    gate.set()
    folder = fetch(REPOSITORY).folder()
    assert files_of(folder) == files_of(model_folder)
    assert [offset for name, offset in hub.downloads if name == WEIGHTS] == [0, size - 1]


def test_a_connection_that_breaks_is_taken_up_again(
    hub: HubServer, fetch: Callable[..., Fetch], model_folder: Path
) -> None:
    hub.cuts[WEIGHTS] = 1000
    assert files_of(fetch(REPOSITORY).folder()) == files_of(model_folder)
    assert [offset for name, offset in hub.downloads if name == WEIGHTS] == [0, 1000]


def test_of_pods_that_start_together_one_fetches_and_the_others_wait(
    hub: HubServer, fetch: Callable[..., Fetch], cache: Path, model_folder: Path
) -> None:
    gate = hub.gates[WEIGHTS] = threading.Event()
    runs = [fetch(REPOSITORY) for _ in range(3)]
    wait_until(lambda: any(name == WEIGHTS for name, _ in hub.downloads), "the first download")
    gate.set()
    folders = {run.folder() for run in runs}
    assert len(folders) == 1
    assert files_of(folders.pop()) == files_of(model_folder)
    names = [name for name, _ in hub.downloads]
    assert len(names) == len(set(names)), "each file came once"
    assert not list(cache.glob("*/*.partial"))


@pytest.mark.parametrize("name", [WEIGHTS, "vae/config.json"])
def test_bytes_that_are_not_what_the_hub_promised_are_thrown_away(
    hub: HubServer, fetch: Callable[..., Fetch], cache: Path, name: str
) -> None:
    hub.damaged.add(name)
    assert fetch(REPOSITORY).failure() == (
        ExitCode.FAILED,
        f"videojob-renderer: {name} of {REPOSITORY} arrived damaged, and was thrown away; try again",
    )
    assert not list(cache.glob(f"*/{COMMIT}"))
    hub.damaged.clear()
    assert fetch(REPOSITORY).folder().is_dir()


def test_a_staged_file_that_was_cut_off_later_is_mended(
    hub: HubServer, fetch: Callable[..., Fetch], model_folder: Path
) -> None:
    folder = fetch(REPOSITORY).folder()
    (folder / WEIGHTS).write_bytes(b"cut")
    hub.downloads.clear()
    assert files_of(fetch(REPOSITORY).folder()) == files_of(model_folder)
    assert [name for name, _ in hub.downloads] == [WEIGHTS]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("studio/absent",), "the hub has no repository studio/absent"),
        ((REPOSITORY, "--revision", "v3"), "has no revision v3"),
        (("CogVideoX-2b",), "is a name of the model catalogue: give --catalogue FILE"),
        ((REPOSITORY, "--offline"), "and offline nobody is asked for it"),
        (("/nowhere/model",), "the model folder /nowhere/model does not exist on this node"),
    ],
)
def test_what_cannot_be_fetched_is_told_in_a_sentence(
    fetch: Callable[..., Fetch], tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    termination_log = tmp_path / "termination.log"
    termination_log.touch()
    code, told = fetch(*arguments, VIDEOJOB_TERMINATION_LOG=str(termination_log)).failure()
    assert code in {ExitCode.FAILED, ExitCode.INVALID_REQUEST}
    assert words in told
    assert words in json.loads(termination_log.read_text())["message"]


def test_a_model_of_the_catalogue_is_fetched_by_its_name_and_found_without_the_hub(
    hub: HubServer, fetch: Callable[..., Fetch], cache: Path, tmp_path: Path
) -> None:
    model = {"family": "2b", "source": REPOSITORY, "revision": "v2"}
    catalogue = tmp_path / "catalogue.json"
    catalogue.write_text(json.dumps({"defaultModel": "squirrels", "models": {"squirrels": model}}))
    folder = fetch("squirrels", "--catalogue", str(catalogue)).folder()
    assert fetch("squirrels", "--offline", VIDEOJOB_CATALOGUE=str(catalogue)).folder() == folder
    code, told = fetch("crows", "--catalogue", str(catalogue)).failure()
    assert (code, told[-40:]) == (ExitCode.INVALID_REQUEST, "the model catalogue; known are squirrels")

    here = {"VIDEOJOB_MODEL_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    located = locate(REPOSITORY, "v2", here)
    assert (located.folder, located.revision) == (folder, COMMIT)
    assert locate(REPOSITORY, COMMIT, here).folder == folder
    with pytest.raises(WeightsUnavailable, match="HF_HUB_OFFLINE forbids"):
        locate(REPOSITORY, "v3", here)


@pytest.fixture
def in_bucket(stored: S3Client, storage: Storage, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The tiny model in S3, and the variables to read it; its URI."""
    for name, value in storage.environment().items():
        monkeypatch.setenv(name, value)
    for name, content in files_of(model_folder).items():
        stored.put_object(Bucket="videos", Key=f"models/tiny/{name}", Body=content)
    yield "s3://videos/models/tiny"
    for name in files_of(model_folder):
        stored.delete_object(Bucket="videos", Key=f"models/tiny/{name}")


def test_a_prefix_of_a_bucket_is_a_source_for_fetch_and_renderer(
    fetch: Callable[..., Fetch],
    in_bucket: str,
    storage: Storage,
    stored: S3Client,
    cache: Path,
    make_request: Callable[..., ResolvedRequest],
    model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = fetch(in_bucket, **storage.environment()).folder()
    assert files_of(folder) == files_of(model_folder)

    other = cache.with_name("other-cache")
    monkeypatch.setenv("VIDEOJOB_MODEL_CACHE", str(other))
    assert load(make_request(source=in_bucket)).revision == folder.name
    assert list(other.glob("*/*/model_index.json")), "the renderer staged it by itself"

    stored.put_object(Bucket="videos", Key="models/tiny/vae/config.json", Body=b"{}")
    assert fetch(in_bucket, **storage.environment()).folder() != folder, "other content is another version"


def test_a_bucket_without_the_model_is_told(fetch: Callable[..., Fetch], storage: Storage) -> None:
    code, told = fetch("s3://videos/models/none", **storage.environment()).failure()
    assert code == ExitCode.FAILED
    assert "s3://videos/models/none holds no diffusers model: it has no model_index.json" in told
    code, told = fetch("s3://nobucket/model", **storage.environment()).failure()
    assert "s3://nobucket/model cannot be read: S3 refused" in told


def test_a_folder_is_copied_into_the_cache_and_used_from_there(
    fetch: Callable[..., Fetch], model_folder: Path, cache: Path
) -> None:
    folder = fetch(str(model_folder)).folder()
    assert files_of(folder) == files_of(model_folder)
    assert locate(str(model_folder), None, {"VIDEOJOB_MODEL_CACHE": str(cache)}).folder == folder
    assert locate(str(model_folder), None, {}).folder == model_folder


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, model_folder: Path) -> None:
    (tmp_path / "file").touch()
    from videojob_renderer.models.locate import stage  # noqa: PLC0415

    with pytest.raises(DiskUnwritable, match=rf"the model cache {tmp_path}/file/cache cannot be written"):
        stage(str(model_folder), None, tmp_path / "file" / "cache", {})


def test_a_model_that_has_no_room_is_told_before_it_is_fetched(tmp_path: Path) -> None:
    class Endless:
        name = "studio/endless"
        revision = None

        def list(self) -> Listing:
            raise AssertionError

        def read(self, *_: object) -> Iterator[bytes]:
            raise AssertionError("nothing is read")

    listing = Listing("v", (RemoteFile("vae/model.safetensors", 2**60, None),))
    with pytest.raises(DiskFull, match=r"studio/endless needs 1073741824.0 GiB more in .*, which has [\d.]+ GiB free"):
        download.download(Endless(), listing, tmp_path)
