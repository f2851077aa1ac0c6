"""A model that cannot be loaded, or would render noise, is told with the file at fault; so is a hub that refuses."""

import json
import shutil
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler
from loopback_server import LoopbackServer, Quiet

from videojob.families import Family
from videojob.resolve import ResolvedRequest
from videojob_renderer import hub
from videojob_renderer.errors import InvalidRequest, WeightsUnavailable
from videojob_renderer.pipeline import load
from videojob_renderer.tiny import make_tiny

pytestmark = pytest.mark.torch

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"
SHARDS = ("diffusion_pytorch_model-00001-of-00002.safetensors", "diffusion_pytorch_model-00002-of-00002.safetensors")
GIT_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1234\n"

MakeRequest = Callable[..., ResolvedRequest]


@pytest.fixture
def model(model_folder: Path, tmp_path: Path) -> Path:
    """A model folder that may be damaged."""
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


def lose_a_shard(model: Path) -> None:
    (model / TRANSFORMER).rename(model / "transformer" / SHARDS[0])
    index = {"metadata": {}, "weight_map": dict(zip(("a", "b"), SHARDS, strict=True))}
    (model / "transformer/diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))


def ask_for_a_layer_more(model: Path) -> None:
    config = model / "transformer/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"num_layers": 3}))


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize("family", Family)
def test_a_model_loads_with_its_family(tmp_path: Path, make_request: MakeRequest, family: Family) -> None:
    make_tiny(tmp_path / "tiny", family)
    loaded = load(make_request(source=str(tmp_path / "tiny"), family=family, num_frames=17, width=96, height=64))
    assert loaded.revision is None
    if not torch.cuda.is_available():
        assert (loaded.device.type, loaded.dtype) == ("cpu", torch.float32)
        assert loaded.pipeline.transformer.dtype is loaded.pipeline.vae.dtype is torch.float32


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (shutil.rmtree, "does not exist on this node"),
        (lambda model: (model / "model_index.json").unlink(), "it has no model_index.json"),
        (lambda model: (model / "model_index.json").write_text("{"), "model_index.json cannot be read"),
        (lambda model: shutil.rmtree(model / "vae"), "lacks the folder {model}/vae"),
        (lambda model: (model / TRANSFORMER).unlink(), "lacks the weights of {model}/transformer"),
        (lambda model: (model / TRANSFORMER).write_bytes(b""), TRANSFORMER + " is damaged"),
        (lambda model: (model / TRANSFORMER).write_bytes(GIT_LFS_POINTER), TRANSFORMER + " is damaged"),
        (lambda model: cut_off(model / TRANSFORMER), TRANSFORMER + " is damaged"),
        (lambda model: cut_off(model / "text_encoder/model.safetensors"), "text_encoder/model.safetensors is damaged"),
        (lambda model: (model / "transformer/config.json").unlink(), "no file named config.json"),
        (lambda model: (model / "tokenizer/tokenizer.json").unlink(), "lacks a vocabulary in {model}/tokenizer"),
        (lose_a_shard, "lacks the file {model}/transformer/" + SHARDS[1]),
        (ask_for_a_layer_more, "in {model}/transformer lack the tensor transformer_blocks.2."),
    ],
)
def test_what_is_wrong_with_a_model_is_told_with_its_file(
    make_request: MakeRequest, model: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(model)
    with pytest.raises(WeightsUnavailable) as raised:
        load(make_request(source=str(model)))
    assert words.format(model=model) in raised.value.message
    assert "\n" not in raised.value.message


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ({"width": 192, "height": 128}, "width: must be 96 for CogVideoX-tiny, which renders 96x64 only"),
        ({"width": 96, "height": 128}, "height: must be 64 for CogVideoX-tiny, which renders 96x64 only"),
    ],
)
def test_a_model_with_learned_positions_tells_its_one_size(
    tmp_path: Path, make_request: MakeRequest, size: dict[str, int], words: str
) -> None:
    make_tiny(tmp_path / "tiny", Family.COGVIDEOX_5B_I2V)
    with pytest.raises(InvalidRequest, match=words):
        load(make_request(source=str(tmp_path / "tiny"), family=Family.COGVIDEOX_5B_I2V, **size))


def test_the_catalogue_can_choose_the_scheduler(make_request: MakeRequest, model_folder: Path) -> None:
    source = str(model_folder)
    assert type(load(make_request(source=source)).pipeline.scheduler) is CogVideoXDDIMScheduler
    chosen = load(make_request(source=source, scheduler="dpm")).pipeline.scheduler
    assert type(chosen) is CogVideoXDPMScheduler
    assert (chosen.config.timestep_spacing, chosen.config.prediction_type) == ("trailing", "v_prediction")


def test_a_model_of_another_family_than_the_catalogue_says_is_told(make_request: MakeRequest, model: Path) -> None:
    with pytest.raises(WeightsUnavailable, match=r"is of family 2b, but CogVideoX-tiny is said to be of 1.5"):
        load(make_request(source=str(model), family=Family.COGVIDEOX_1_5, num_frames=17))


REFUSALS = {"gated": (401, "GatedRepo"), "absent": (404, "RepoNotFound"), "unrevised": (404, "RevisionNotFound")}


class Hub(Quiet, BaseHTTPRequestHandler):
    """A hub that refuses whatever is asked of it, for the reason that the repository's name says."""

    def do_GET(self) -> None:
        repository = self.path.split("/")[4]
        code, reason = REFUSALS.get(repository, (500, ""))
        self.send_response(code)
        self.send_header("X-Error-Code", reason)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def refusing_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with LoopbackServer(Hub) as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.endpoint)
        monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", server.endpoint)
        yield


@pytest.mark.parametrize(
    ("repository", "words"),
    [
        ("studio/gated", "studio/gated is gated: accept its licence"),
        ("studio/absent", "the hub has no repository studio/absent"),
        ("studio/unrevised", "studio/unrevised has no revision v2"),
        ("studio/broken", "studio/broken at revision v2 cannot be downloaded: the hub answered 500"),
        (
            "s3://videos/model",
            "s3://videos/model is neither an absolute path, nor an s3:// prefix, nor a hub repository",
        ),
    ],
)
def test_what_the_hub_refuses_is_told(refusing_hub: None, repository: str, words: str) -> None:
    with pytest.raises(WeightsUnavailable) as raised:
        hub.download(repository, "v2")
    assert words in raised.value.message


def test_a_hub_out_of_reach_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", "http://127.0.0.1:9")
    with pytest.raises(WeightsUnavailable, match=r"studio/model is not in the cache .*, and the hub cannot be reached"):
        hub.download("studio/model", None)
