"""The transformer's attention with a kernel that is really chosen.

diffusers' own switches (`set_attention_backend`, `DIFFUSERS_ATTN_BACKEND`) do nothing to CogVideoX (0.42.1): its stock
processor calls torch directly and never looks at them. This processor does the same arithmetic in the same order, and
names the one kernel that may run; torch raises where that one cannot, instead of quietly taking another.
"""

# mypy: disable-error-code="no-untyped-call"

import logging
from contextlib import AbstractContextManager
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

_log = logging.getLogger(__name__)


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
    transformer.set_attn_processor(CogVideoXAttention(kernel))


def held(kernel: Attention) -> AbstractContextManager[None]:
    """Hold a kernel for the whole process.

    The choice is the process's and not the thread's: of two threads that attend, the first to end would give the other
    one back to torch's own choice. Where it is held around both, each sets what is set already.
    """
    return sdpa_kernel(_BACKENDS[kernel])


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
    """Try a kernel on a handful of tokens; FlashAttention 3 stays switched in where it works."""
    if kernel is Attention.FLASH3 and not _switch_in_flash3(device):
        return False
    sample = torch.zeros(1, 2, 32, head_width, device=device, dtype=dtype)
    try:
        with sdpa_kernel(_BACKENDS[kernel]):
            F.scaled_dot_product_attention(sample, sample, sample)
    except RuntimeError:
        if kernel is Attention.FLASH3:
            torch.nn.attention.restore_flash_attention_impl()
        return False
    return True


def _switch_in_flash3(device: torch.device) -> bool:
    """Have flash mean FlashAttention 3 in all of the process; return whether its package is there and loads."""
    if device.type != "cuda" or _capability(device) < _HOPPER:
        return False
    try:
        torch.nn.attention.activate_flash_attention_impl("FA3")
    except Exception as error:  # noqa: BLE001 - whatever a package built for another torch raises
        _log.warning("FlashAttention 3 cannot be loaded: %s", error)
        return False
    return True


def _preferred(device: torch.device) -> tuple[Attention, ...]:
    """From fastest to slowest, by the figures of the FlashAttention 3 paper for 16k tokens and heads of 64."""
    if device.type == "cuda" and _capability(device) >= _HOPPER:
        return (Attention.CUDNN, Attention.FLASH, Attention.EFFICIENT, Attention.MATH)
    return (Attention.FLASH, Attention.EFFICIENT, Attention.MATH)


def _capability(device: torch.device) -> tuple[int, int]:
    return torch.cuda.get_device_capability(device)
