"""The large matrix products of the transformer's blocks in 8-bit floating point. Lossy, and opt-in.

Row-wise scales on both sides: each token and each output of a weight has its own, which of the published fp8 variants
of CogVideoX-5b comes closest to bfloat16 by eye and costs 2 % of the speed of one scale for all (diffusers-torchao,
H100 table). torch does it alone, so torchao is not needed. Without compile it is slower than bfloat16: finding the
scales reads every activation once more, which only a compiled block folds into what wrote it.
"""

from typing import Any

import torch
from torch import nn

_DTYPE = torch.float8_e4m3fn
_LARGEST = torch.finfo(_DTYPE).max
_SMALLEST_SCALE = 1e-12
"""Keeps a row of zeros from a division by zero."""

_MULTIPLE = 16
"""What both sides of a matrix product must be a multiple of."""

_FIRST_CAPABILITY = (8, 9)


class Float8Linear(nn.Module):
    """A linear layer whose product is done in 8 bits; bias, input and output keep their type.

    Args:
        linear: where weight and bias come from.
    """

    weight: torch.Tensor
    scale: torch.Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, scale = _quantized(linear.weight.detach())
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.register_buffer("weight", weight)  # (outputs, inputs)
        self.register_buffer("scale", scale.t())  # (1, outputs)
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (..., inputs) -> (..., outputs)
        """Multiply."""
        rows, scale = _quantized(x.flatten(0, -2))
        # torch's public scaled_mm cannot be compiled with torch 2.11; what it calls can, and torchao calls it too.
        product = torch._scaled_mm(  # noqa: SLF001
            rows,
            self.weight.t(),
            scale_a=scale,
            scale_b=self.scale,
            out_dtype=torch.bfloat16,  # the one that row-wise scales can give
            use_fast_accum=x.is_cuda,
        ).to(x.dtype)
        if self.bias is not None:
            product = product + self.bias
        return product.reshape(*x.shape[:-1], -1)


def is_possible(device: torch.device) -> bool:
    """Tell whether a device multiplies in 8 bits; a CPU does so for the tests, slowly."""
    return device.type == "cpu" or torch.cuda.get_device_capability(device) >= _FIRST_CAPABILITY


def use_float8(transformer: Any) -> int:
    """Replace the linear layers of all blocks but those of the time embedding; return how many."""
    replaced = 0
    for block in transformer.transformer_blocks:
        for part in (block.attn1, block.ff):
            replaced += _replace_linears(part)
    return replaced


def _replace_linears(module: nn.Module) -> int:
    replaced = 0
    for name, child in module.named_children():
        if isinstance(child, nn.Linear) and not (child.in_features % _MULTIPLE or child.out_features % _MULTIPLE):
            setattr(module, name, Float8Linear(child))
            replaced += 1
        else:
            replaced += _replace_linears(child)
    return replaced


def _quantized(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # (rows, columns) -> same, (rows, 1)
    scale = (rows.abs().amax(dim=-1, keepdim=True).float() / _LARGEST).clamp(min=_SMALLEST_SCALE)
    return (rows.float() / scale).clamp(-_LARGEST, _LARGEST).to(_DTYPE), scale
