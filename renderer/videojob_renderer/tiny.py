"""A CogVideoX pipeline of true structure with tiny random weights: for tests and demos without a GPU or a download.

All classes, file formats and shapes of tensors are those of the real models, only narrow; its videos are coloured
noise. The same family gives the same bytes on every machine: even the tokenizer is written by hand, because a trained
one differs from run to run.
"""

# The constructors and methods of diffusers and transformers carry no types.
# mypy: disable-error-code="no-untyped-call,attr-defined,call-arg,union-attr"

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    CogVideoXDDIMScheduler,
    CogVideoXDPMScheduler,
    CogVideoXImageToVideoPipeline,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
)
from transformers import T5Config, T5EncoderModel, T5Tokenizer
from transformers.utils import logging as transformers_logging

from videojob.families import Family

_FAMILIES_1_5 = (Family.COGVIDEOX_1_5, Family.COGVIDEOX_1_5_I2V)
_TEXT_TOKENS = 226
_TEXT_WIDTH = 32
_TIME_WIDTH = 16
_LATENT_CHANNELS = 16
_SAMPLE_FRAMES = 49
_SAMPLE_SIZE = (16, 24)  # height and width of the latents of 192x128 pixels
_FIXED_SAMPLE_SIZE = (8, 12)  # of 96x64: 5b-i2v has learned positions, so it can render no other size


def make_tiny(folder: Path, family: Family) -> None:
    """Write a tiny pipeline of a family as a model folder of 0.6 MB."""
    pipeline = build_tiny(family)
    transformers_logging.disable_progress_bar()
    pipeline.save_pretrained(folder)
    for file in folder.rglob("*.safetensors"):
        file.chmod(0o644)  # save_pretrained gives 0600, which a renderer of another user could not read


def build_tiny(family: Family) -> CogVideoXPipeline | CogVideoXImageToVideoPipeline:
    """Build a tiny pipeline in memory."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer = _tokenizer()
        # eval(): a module fresh from its constructor would drop out parts of the prompt at random.
        pipeline = CogVideoXImageToVideoPipeline if family.takes_image else CogVideoXPipeline
        return pipeline(
            tokenizer=tokenizer,
            text_encoder=_text_encoder(len(tokenizer)).eval(),
            vae=_vae(family).eval(),
            transformer=_transformer(family).eval(),
            scheduler=_scheduler(family),
        )


def _tokenizer() -> T5Tokenizer:
    """A piece for each printable ASCII character, in T5's layout: padding, end and unknown come first."""
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    characters = [(chr(code), -5.0) for code in range(33, 127)]
    return T5Tokenizer(vocab=special + characters, extra_ids=0, model_max_length=_TEXT_TOKENS)


def _text_encoder(vocabulary: int) -> T5EncoderModel:
    return T5EncoderModel(
        T5Config(
            vocab_size=vocabulary,
            d_model=_TEXT_WIDTH,
            d_kv=8,
            d_ff=64,
            num_layers=2,
            num_heads=4,
            feed_forward_proj="gated-gelu",
            dense_act_fn="gelu_new",
            is_encoder_decoder=False,
            use_cache=False,
            tie_word_embeddings=False,
        )
    )


def _transformer(family: Family) -> CogVideoXTransformer3DModel:
    is_1_5 = family in _FAMILIES_1_5
    height, width = _sample_size(family)
    return CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=_LATENT_CHANNELS * (2 if family.takes_image else 1),  # the image's latents come beside the noise
        out_channels=_LATENT_CHANNELS,
        time_embed_dim=_TIME_WIDTH,
        ofs_embed_dim=_TIME_WIDTH if family is Family.COGVIDEOX_1_5_I2V else None,
        text_embed_dim=_TEXT_WIDTH,
        num_layers=2,
        sample_width=width,
        sample_height=height,
        sample_frames=_SAMPLE_FRAMES,
        patch_size=2,
        patch_size_t=2 if is_1_5 else None,
        patch_bias=not is_1_5,
        temporal_compression_ratio=4,
        max_text_seq_length=_TEXT_TOKENS,
        use_rotary_positional_embeddings=family is not Family.COGVIDEOX_2B,
        use_learned_positional_embeddings=family is Family.COGVIDEOX_5B_I2V,
    )


def _vae(family: Family) -> AutoencoderKLCogVideoX:
    height, width = _sample_size(family)
    return AutoencoderKLCogVideoX(
        block_out_channels=(4, 4, 4, 4),  # twice as quick to decode on a CPU as 8
        norm_num_groups=2,
        layers_per_block=1,
        latent_channels=_LATENT_CHANNELS,
        sample_height=height * 8,
        sample_width=width * 8,
        temporal_compression_ratio=4,
        scaling_factor=1.15258426 if family is Family.COGVIDEOX_2B else 0.7,
        invert_scale_latents=family in _FAMILIES_1_5,
    )


def _sample_size(family: Family) -> tuple[int, int]:
    return _FIXED_SAMPLE_SIZE if family is Family.COGVIDEOX_5B_I2V else _SAMPLE_SIZE


def _scheduler(family: Family) -> CogVideoXDDIMScheduler | CogVideoXDPMScheduler:
    common = {
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "clip_sample": False,
        "set_alpha_to_one": True,
        "timestep_spacing": "trailing",
    }
    if family is Family.COGVIDEOX_2B:
        return CogVideoXDDIMScheduler(snr_shift_scale=3.0, **common)
    return CogVideoXDPMScheduler(snr_shift_scale=1.0, **common)
