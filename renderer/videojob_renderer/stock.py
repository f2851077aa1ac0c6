"""What the render uses of diffusers' CogVideoX pipelines, whose attributes are invisible to type checkers.

An upgrade of diffusers is to be checked against this list.
"""

from typing import Any, Protocol

import torch


class StockPipeline(Protocol):
    """A loaded CogVideoXPipeline or CogVideoXImageToVideoPipeline."""

    transformer: Any
    vae: Any
    scheduler: Any
    video_processor: Any
    vae_scale_factor_spatial: int
    vae_scale_factor_temporal: int
    vae_scaling_factor_image: float

    def encode_prompt(
        self, prompt: str, negative_prompt: str | None, do_classifier_free_guidance: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the embeddings of prompt and, with guidance, of negative prompt."""

    def _prepare_rotary_positional_embeddings(
        self, height: int, width: int, num_frames: int, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]: ...
