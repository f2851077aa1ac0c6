"""LoRA adapters of the catalogue change the model as diffusers itself would, and a wrong one is told with its file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import CogVideoXPipeline
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from videojob.catalogue import Adapter
from videojob.families import Family
from videojob.resolve import ResolvedRequest
from videojob_renderer.errors import WeightsUnavailable
from videojob_renderer.fingerprint import digest_of_weights
from videojob_renderer.pipeline import load
from videojob_renderer.tiny import build_tiny

pytestmark = pytest.mark.torch

FILE = "pytorch_lora_weights.safetensors"

MakeRequest = Callable[..., ResolvedRequest]


def make_adapter(folder: Path, seed: int) -> Path:
    """Write an adapter with random weights, in the format of diffusers' training scripts."""
    transformer = build_tiny(Family.COGVIDEOX_2B).transformer
    torch.manual_seed(seed)
    config = LoraConfig(r=4, lora_alpha=4, target_modules=["to_q", "to_k", "to_v", "to_out.0"], init_lora_weights=False)
    transformer.add_adapter(config)
    CogVideoXPipeline.save_lora_weights(folder, transformer_lora_layers=get_peft_model_state_dict(transformer))
    return folder


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return {name: make_adapter(folder / name, seed) for seed, name in enumerate(("anime", "snow"), start=1)}


def weights_of(pipeline: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in pipeline.transformer.state_dict().items()}


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning")
def test_adapters_are_fused_as_diffusers_fuses_them(
    make_request: MakeRequest, model_folder: Path, adapters: dict[str, Path]
) -> None:
    chosen = {
        "anime": Adapter(source=str(adapters["anime"]), weight=0.8),
        "snow": Adapter(source=str(adapters["snow"] / FILE), weight=-0.3),
    }
    plain = load(make_request(source=str(model_folder)))
    loaded = load(make_request(source=str(model_folder), adapters=chosen))

    stock = CogVideoXPipeline.from_pretrained(model_folder, local_files_only=True)
    stock.load_lora_weights(adapters["anime"], weight_name=FILE, adapter_name="anime")
    stock.load_lora_weights(adapters["snow"], weight_name=FILE, adapter_name="snow")
    stock.set_adapters(["anime", "snow"], [0.8, -0.3])
    stock.fuse_lora(adapter_names=["anime", "snow"])
    stock.unload_lora_weights()

    ours, theirs, before = weights_of(loaded.pipeline), weights_of(stock), weights_of(plain.pipeline)
    assert ours.keys() == theirs.keys() == before.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    name = "transformer_blocks.0.attn1.to_q.weight"
    first, second = (load_file(adapters[each] / FILE) for each in chosen)
    change = torch.zeros_like(before[name])
    for tensors, weight in ((first, 0.8), (second, -0.3)):
        change += (
            weight
            * tensors[f"transformer.{name[:-7]}.lora_B.weight"]
            @ tensors[f"transformer.{name[:-7]}.lora_A.weight"]
        )
    torch.testing.assert_close(ours[name] - before[name], change)


def test_adapters_are_part_of_the_weights_digest(
    make_request: MakeRequest, model_folder: Path, adapters: dict[str, Path]
) -> None:
    plain = load(make_request(source=str(model_folder)))
    one = {"anime": Adapter(source=str(adapters["anime"]))}
    loaded = load(make_request(source=str(model_folder), adapters=one))
    assert digest_of_weights(*plain.weights) != digest_of_weights(*loaded.weights)


def misnamed(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    folder.mkdir()
    save_file(tensors, folder / FILE)
    return folder


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "none", "the adapter anime lacks the file {folder}/none"),
        (lambda folder: folder, r"the adapter anime needs one \*.safetensors in {folder}, .*; there are 0"),
        (lambda folder: misnamed(folder / "x", {"unet.a": torch.zeros(1)}), "does not fit this model: Invalid LoRA"),
        (
            lambda folder: misnamed(folder / "x", {"unet.lora_A.weight": torch.zeros(1)}),
            "has no layers for this model's transformer",
        ),
    ],
)
def test_an_adapter_that_is_none_for_the_model_is_told(
    make_request: MakeRequest, model_folder: Path, tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    chosen = {"anime": Adapter(source=str(make(tmp_path)))}
    request = make_request(source=str(model_folder), adapters=chosen)
    with pytest.raises(WeightsUnavailable, match=words.format(folder=tmp_path)):
        load(request)
