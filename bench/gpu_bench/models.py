"""Models of full size with random weights, built on the device: their speed does not depend on the weights' values.

The structures are those of the published checkpoints' configurations. The text encoder is left out of all but its own
measurement: its embeddings are random numbers here.
"""

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    CogVideoXDDIMScheduler,
    CogVideoXDPMScheduler,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
)
from transformers import T5Config, T5EncoderModel

from videojob.families import Family
from videojob_renderer.tiny import build_tiny

TEXT_TOKENS = 226
TEXT_WIDTH = 4096


@dataclass(frozen=True)
class Shape:
    """What is rendered.

    Attributes:
        steps: of an end-to-end run.
    """

    frames: int
    height: int
    width: int
    fps: int
    steps: int


FULL_SHAPES = {
    Family.COGVIDEOX_2B: Shape(49, 480, 720, 8, 50),
    Family.COGVIDEOX_5B: Shape(49, 480, 720, 8, 50),
    Family.COGVIDEOX_1_5: Shape(81, 768, 1360, 16, 50),
}
TINY_SHAPE = Shape(17, 48, 64, 8, 4)

_SCHEDULE = {
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "clip_sample": False,
    "set_alpha_to_one": True,
    "timestep_spacing": "trailing",
}


def build(family: Family, *, tiny: bool, device: torch.device, dtype: torch.dtype) -> Any:
    """Build the pipeline of a family without its text encoder.

    Args:
        family: one of the text-to-video families.
        tiny: a few thousand weights instead of billions.
        device: on which it is built.
        dtype: of the weights.
    """
    if tiny:
        pipeline: Any = build_tiny(family)
        pipeline.text_encoder = pipeline.tokenizer = None
    else:
        torch.manual_seed(0)
        with torch.device(device):
            transformer, vae = _transformer(family), _vae(family)
        pipeline = CogVideoXPipeline(
            tokenizer=None,
            text_encoder=None,
            vae=vae.eval(),
            transformer=transformer.eval(),
            scheduler=_scheduler(family),
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device, dtype)


def embeddings(pipeline: Any, halves: int, *, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Return random embeddings of prompts: (halves, tokens, width)."""
    generator = torch.Generator().manual_seed(1)
    width = pipeline.transformer.config.text_embed_dim
    return (torch.randn(halves, TEXT_TOKENS, width, generator=generator) * 0.2).to(device, dtype)


def build_text_encoder(*, device: torch.device, dtype: torch.dtype) -> Any:
    """Build the encoder of T5 v1.1 XXL."""
    config = T5Config(
        vocab_size=32128,
        d_model=TEXT_WIDTH,
        d_kv=64,
        d_ff=10240,
        num_layers=24,
        num_heads=64,
        feed_forward_proj="gated-gelu",
        dense_act_fn="gelu_new",
        is_encoder_decoder=False,
        use_cache=False,
        tie_word_embeddings=False,
    )
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)  # in float32 it would need 19 GB beside the rest
    try:
        with torch.device(device):
            return T5EncoderModel(config).eval()
    finally:
        torch.set_default_dtype(before)


def _transformer(family: Family) -> Any:
    is_2b, is_1_5 = family is Family.COGVIDEOX_2B, family is Family.COGVIDEOX_1_5
    return CogVideoXTransformer3DModel(
        num_attention_heads=30 if is_2b else 48,
        attention_head_dim=64,
        in_channels=16,
        out_channels=16,
        time_embed_dim=512,
        text_embed_dim=TEXT_WIDTH,
        num_layers=30 if is_2b else 42,
        sample_width=300 if is_1_5 else 90,
        sample_height=300 if is_1_5 else 60,
        sample_frames=81 if is_1_5 else 49,
        patch_size=2,
        patch_size_t=2 if is_1_5 else None,
        patch_bias=not is_1_5,
        temporal_compression_ratio=4,
        max_text_seq_length=TEXT_TOKENS,
        use_rotary_positional_embeddings=not is_2b,
    )


def _vae(family: Family) -> Any:
    blocks = 4
    return AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * blocks,
        up_block_types=("CogVideoXUpBlock3D",) * blocks,
        block_out_channels=(128, 256, 256, 512),
        layers_per_block=3,
        latent_channels=16,
        sample_height=480,
        sample_width=720,
        temporal_compression_ratio=4,
        scaling_factor=1.15258426 if family is Family.COGVIDEOX_2B else 0.7,
    )


def _scheduler(family: Family) -> Any:
    if family is Family.COGVIDEOX_2B:
        return CogVideoXDDIMScheduler(snr_shift_scale=3.0, **_SCHEDULE)
    return CogVideoXDPMScheduler(snr_shift_scale=1.0, **_SCHEDULE)
