"""What a video is to show, in the numbers the transformer is told: embeddings of the prompts, latents of the image.

The same bits as the stock pipelines give: encoder, order of the random draws and scaling are theirs.
"""

from dataclasses import dataclass

import torch
from PIL import Image

from videojob_renderer.stock import StockPipeline


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """What every step is conditioned on.

    Attributes:
        embeddings: (1 or 2, 226, text width): of the prompt; with guidance, those of the negative prompt before it.
        image_latents: (1, latent frames, channels, height / 8, width / 8): of the image, then zeros; None for
            text-to-video.
    """

    embeddings: torch.Tensor
    image_latents: torch.Tensor | None = None

    @property
    def dtype(self) -> torch.dtype:
        """Of embeddings and latents."""
        return self.embeddings.dtype


@torch.inference_mode()
def encode_prompt(
    pipeline: StockPipeline, prompt: str, negative_prompt: str, *, is_guided: bool
) -> torch.Tensor:  # (1 or 2, 226, text width)
    """Turn the prompt into embeddings, preceded by those of the negative prompt where there is guidance."""
    embeddings, negative = pipeline.encode_prompt(prompt, negative_prompt or None, is_guided)
    return embeddings if negative is None else torch.cat([negative, embeddings])


@torch.inference_mode()
def encode_image(
    pipeline: StockPipeline,
    image: Image.Image,
    shape: tuple[int, ...],
    *,
    generator: torch.Generator,
    device: torch.device,
    dtype: torch.dtype,
) -> torch.Tensor:  # of that shape
    """Turn the image into the latents of a first frame, followed by zeros for all others.

    Args:
        pipeline: its VAE is used.
        image: of any size; it is stretched to the video's, as by the stock pipeline.
        shape: of the video's latents.
        generator: draws before the video's noise is drawn.
        device: of the VAE.
        dtype: of the VAE.
    """
    scale = pipeline.vae_scale_factor_spatial
    height, width = shape[3] * scale, shape[4] * scale
    pixels = pipeline.video_processor.preprocess(image, height=height, width=width).to(device, dtype=dtype)
    encoded = pipeline.vae.encode(pixels.unsqueeze(2)).latent_dist.sample(generator)  # (1, channels, 1, …)
    first = encoded.to(dtype).permute(0, 2, 1, 3, 4)
    factor = pipeline.vae_scaling_factor_image
    # 1.5 was trained with the inverse of its scaling factor, which its VAE's configuration tells.
    first = 1 / factor * first if pipeline.vae.config.invert_scale_latents else factor * first
    zeros = first.new_zeros((1, shape[1] - 1, *shape[2:]))
    return torch.cat([first, zeros], dim=1)
