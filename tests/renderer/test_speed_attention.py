"""The own attention gives the bits of the stock one, and the kernel that is chosen is the one that runs."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from videojob.families import Family
from videojob.speed_choices import Attention
from videojob_renderer.speed import attention
from videojob_renderer.speed.attention import choose_kernel, is_usable, use_kernel

pytestmark = pytest.mark.torch

Build = Callable[[Family], Any]
CPU = {"device": torch.device("cpu"), "dtype": torch.float32, "head_width": 16}


class Kernels(TorchDispatchMode):
    """Counts which attention kernels run."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[Attention] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for word, kernel in (("flash_attention", Attention.FLASH), ("softmax", Attention.MATH)):
            if word in func._schema.name:
                self.calls[kernel] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture(params=[family for family in Family if not family.takes_image])
def transformer(request: pytest.FixtureRequest, build_pipeline: Build) -> Iterator[Any]:
    transformer = build_pipeline(request.param).transformer
    stock = transformer.attn_processors
    yield transformer
    transformer.set_attn_processor(stock)


def inputs(transformer: Any, batch: int = 2) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    config = transformer.config
    frames = 2 * (config.patch_size_t or 1)
    hidden = torch.randn(batch, frames, config.in_channels, 4, 6, generator=generator, dtype=transformer.dtype)
    tokens = frames // (config.patch_size_t or 1) * 2 * 3
    rotary = None
    if config.use_rotary_positional_embeddings:
        rotary = tuple(torch.randn(tokens, config.attention_head_dim, generator=generator) for _ in range(2))
    text = torch.randn(batch, 226, config.text_embed_dim, generator=generator, dtype=transformer.dtype)
    return {
        "hidden_states": hidden,
        "encoder_hidden_states": text,
        "timestep": torch.full((batch,), 500),
        "image_rotary_emb": rotary,
        "return_dict": False,
    }


@torch.no_grad()  # in inference mode the operations are hidden from whoever counts them
def predict(transformer: Any) -> torch.Tensor:
    prediction: torch.Tensor = transformer(**inputs(transformer))[0]
    return prediction


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_own_processor_gives_the_bits_of_the_stock_one(transformer: Any, dtype: torch.dtype) -> None:
    transformer.to(dtype)
    try:
        stock = predict(transformer)
        use_kernel(transformer, Attention.FLASH)
        assert torch.equal(predict(transformer), stock)
    finally:
        transformer.to(torch.float32)


@pytest.mark.parametrize("kernel", [Attention.FLASH, Attention.MATH])
def test_the_kernel_that_is_chosen_runs_in_every_block_and_no_other(transformer: Any, kernel: Attention) -> None:
    use_kernel(transformer, kernel)
    with Kernels() as kernels:
        predict(transformer)
    assert kernels.calls == {kernel: len(transformer.transformer_blocks)}


def test_diffusers_own_switch_has_no_effect_which_is_why_we_have_ours(build_pipeline: Build) -> None:
    transformer = build_pipeline(Family.COGVIDEOX_5B).transformer
    with Kernels() as kernels:
        transformer.set_attention_backend("_native_math")
        try:
            predict(transformer)
        finally:
            transformer.reset_attention_backend()
    assert kernels.calls == {Attention.FLASH: len(transformer.transformer_blocks)}


def test_a_kernel_that_cannot_run_raises_instead_of_quietly_being_another(build_pipeline: Build) -> None:
    transformer = build_pipeline(Family.COGVIDEOX_2B).transformer
    stock = transformer.attn_processors
    use_kernel(transformer, Attention.EFFICIENT)  # which no CPU has
    try:
        with pytest.raises(RuntimeError, match="No viable backend"):
            predict(transformer)
    finally:
        transformer.set_attn_processor(stock)


@pytest.mark.parametrize(
    ("wish", "kernel", "note"),
    [
        (Attention.AUTO, Attention.FLASH, None),
        (Attention.FLASH, Attention.FLASH, None),
        (Attention.MATH, Attention.MATH, None),
        (Attention.CUDNN, Attention.FLASH, "attention cudnn is not available here, flash is used"),
        (Attention.FLASH3, Attention.FLASH, "attention flash3 is not available here, flash is used"),
    ],
)
def test_a_wish_that_a_cpu_cannot_follow_is_told(wish: Attention, kernel: Attention, note: str | None) -> None:
    assert choose_kernel(wish, **CPU) == (kernel, note)


@pytest.mark.parametrize(
    "package", ["raise ImportError('undefined symbol: _ZNK3c105Error4whatEv')", "raise OSError('libcudart')", ""]
)
def test_a_flash3_that_does_not_load_is_not_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, package: str
) -> None:
    """It was built for another torch, or is something else of the same name."""
    (tmp_path / "flash_attn_interface.py").write_text(package)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "flash_attn_interface", raising=False)
    monkeypatch.setattr(attention, "_capability", lambda _device: (9, 0))
    assert not is_usable(Attention.FLASH3, device=torch.device("cuda"), dtype=torch.bfloat16, head_width=64)
    assert "FlashAttention 3 cannot be loaded" in caplog.text
    sys.modules.pop("flash_attn_interface", None)


def test_a_cpu_has_flash_and_math() -> None:
    usable = [kernel for kernel in Attention if kernel is not Attention.AUTO and is_usable(kernel, **CPU)]
    assert usable == [Attention.FLASH, Attention.MATH]
