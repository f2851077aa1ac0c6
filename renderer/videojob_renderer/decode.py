"""Latents into frames, a chunk at a time, so that ffmpeg encodes one chunk while the next one is decoded.

The frames are bit-identical to those of the stock pipeline: the loop is that of AutoencoderKLCogVideoX._decode
(diffusers 0.42.1), which keeps the last frames of each chunk in a convolution cache, and hands out all at the end.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from videojob_renderer.stock import StockPipeline

Frames = npt.NDArray[np.uint8]
"""(frames, height, width, RGB)"""


def count_chunks(pipeline: StockPipeline, latents: torch.Tensor) -> int:
    """Say how many chunks `decode` will yield."""
    return max(latents.shape[1] // int(pipeline.vae.num_latent_frames_batch_size), 1)


@torch.inference_mode()
def decode(pipeline: StockPipeline, latents: torch.Tensor) -> Iterator[Frames]:
    """Yield the frames of latents: 9, then 8 at a time.

    Args:
        pipeline: its VAE is used, untiled: tiles would cost 40 % more arithmetic, and show seams.
        latents: (1, latent frames, channels, height / 8, width / 8), without padding frames
    """
    vae = pipeline.vae
    scaled = 1 / pipeline.vae_scaling_factor_image * latents.permute(0, 2, 1, 3, 4)
    # The frames that do not fill a chunk go into the first one, as in the stock decoder.
    size = vae.num_latent_frames_batch_size
    remainder = scaled.shape[2] % size
    cache = None
    for chunk in range(count_chunks(pipeline, latents)):
        first = 0 if chunk == 0 else size * chunk + remainder
        part = scaled[:, :, first : size * (chunk + 1) + remainder]
        if vae.post_quant_conv is not None:
            part = vae.post_quant_conv(part)
        decoded, cache = vae.decoder(part, conv_cache=cache)
        yield _to_pixels(decoded[0])


def _to_pixels(decoded: torch.Tensor) -> Frames:
    """Turn (channels, frames, height, width) from -1 to 1 into bytes, with the stock pipeline's rounding."""
    unit = (decoded.permute(1, 2, 3, 0) * 0.5 + 0.5).clamp(0, 1)
    pixels: Frames = unit.float().mul(255).round().to(torch.uint8).cpu().numpy()
    return pixels
