"""The transformer's attention with a kernel that is really chosen.

diffusers' own switches (`set_attention_backend`, `DIFFUSERS_ATTN_BACKEND`) do nothing to CogVideoX (0.42.1): its stock
processor calls torch directly and never looks at them. This processor does the same arithmetic in the same order, and
names the one kernel that may run; torch raises where that one cannot, instead of quietly taking another.
"""

# mypy: disable-error-code="no-untyped-call"

from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from diffusers.models.embeddings import apply_rotary_emb
from torch.nn.attention import SDPBackend, sdpa_kernel

from videojob.speed_choices import Attention

_BACKENDS = {
    Attention.CUDNN: SDPBackend.CUDNN_ATTENTION,
    Attention.FLASH: SDPBackend.FLASH_ATTENTION,
    Attention.FLASH3: SDPBackend.FLASH_ATTENTION,  # with the other implementation switched in
    Attention.EFFICIENT: SDPBackend.EFFICIENT_ATTENTION,
    Attention.MATH: SDPBackend.MATH,
}

_HOPPER = (9, 0)
_FLASH3_PACKAGE = "flash_attn_interface"


class CogVideoXAttention:
    """The stock processor of CogVideoX (CogVideoXAttnProcessor2_0), but for the kernel.

    Args:
        kernel: not `auto`.
    """

    def __init__(self, kernel: Attention) -> None:
        self._backend = _BACKENDS[kernel]

    # Attention.forward hands over only the arguments that this signature names.
    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,  # (batch, image tokens, width)
        encoder_hidden_states: torch.Tensor,  # (batch, text tokens, width)
        attention_mask: None = None,  # noqa: ARG002 - CogVideoX has none; the caller names it
        image_rotary_emb: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Let every token attend to every token; positions are those of the image's tokens alone."""
        text_tokens = encoder_hidden_states.size(1)
        tokens = torch.cat([encoder_hidden_states, hidden_states], dim=1)
        query, key, value = (
            project(tokens).unflatten(-1, (attn.heads, -1)).transpose(1, 2)  # (batch, heads, tokens, head width)
            for project in (attn.to_q, attn.to_k, attn.to_v)
        )
        if attn.norm_q is not None:
            query = attn.norm_q(query)
        if attn.norm_k is not None:
            key = attn.norm_k(key)
        if image_rotary_emb is not None:
            rotate: Any = apply_rotary_emb  # its own annotation forgets the second tensor
            query[:, :, text_tokens:] = rotate(query[:, :, text_tokens:], image_rotary_emb)
            key[:, :, text_tokens:] = rotate(key[:, :, text_tokens:], image_rotary_emb)
        with sdpa_kernel(self._backend):
            attended = F.scaled_dot_product_attention(query, key, value)
        joined = attn.to_out[1](attn.to_out[0](attended.transpose(1, 2).flatten(2)))
        text, image = joined.split([text_tokens, joined.size(1) - text_tokens], dim=1)
        return image, text


def use_kernel(transformer: Any, kernel: Attention) -> None:
    """Have all blocks of a transformer attend with a kernel that `is_usable`."""
    if kernel is Attention.FLASH3:
        torch.nn.attention.activate_flash_attention_impl("FA3")
    transformer.set_attn_processor(CogVideoXAttention(kernel))


def choose_kernel(
    wish: Attention, *, device: torch.device, dtype: torch.dtype, head_width: int
) -> tuple[Attention, str | None]:
    """Return the kernel to use, and a sentence where it is not the one that was wished for."""
    preferred = _preferred(device)
    if wish is not Attention.AUTO:
        preferred = (wish, *preferred)
    usable = (kernel for kernel in preferred if is_usable(kernel, device=device, dtype=dtype, head_width=head_width))
    kernel = next(usable, Attention.MATH)
    if wish in (Attention.AUTO, kernel):
        return kernel, None
    return kernel, f"attention {wish} is not available here, {kernel} is used"


def is_usable(kernel: Attention, *, device: torch.device, dtype: torch.dtype, head_width: int) -> bool:
    """Try a kernel on a handful of tokens."""
    if kernel is Attention.FLASH3:  # not a matter of trying: it would have to be switched in for all of the process
        return device.type == "cuda" and _capability(device) >= _HOPPER and find_spec(_FLASH3_PACKAGE) is not None
    sample = torch.zeros(1, 2, 32, head_width, device=device, dtype=dtype)
    try:
        with sdpa_kernel(_BACKENDS[kernel]):
            F.scaled_dot_product_attention(sample, sample, sample)
    except RuntimeError:
        return False
    return True


def _preferred(device: torch.device) -> tuple[Attention, ...]:
    """From fastest to slowest, by the figures of the FlashAttention 3 paper for 16k tokens and heads of 64."""
    if device.type == "cuda" and _capability(device) >= _HOPPER:
        return (Attention.CUDNN, Attention.FLASH, Attention.EFFICIENT, Attention.MATH)
    return (Attention.FLASH, Attention.EFFICIENT, Attention.MATH)


def _capability(device: torch.device) -> tuple[int, int]:
    return torch.cuda.get_device_capability(device)
