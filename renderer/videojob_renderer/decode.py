"""Latents into frames, a chunk at a time, so that ffmpeg encodes one chunk while the next one is decoded.

The frames are bit-identical to those of the stock pipeline: the loop is that of AutoencoderKLCogVideoX._decode
(diffusers 0.42.1), which keeps the last frames of each chunk in a convolution cache, and hands out all at the end.
"""

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch

from videojob_renderer.faults import is_out_of_gpu_memory
from videojob_renderer.stock import StockPipeline

Frames = npt.NDArray[np.uint8]
"""(frames, height, width, RGB)"""


def count_chunks(pipeline: StockPipeline, latents: torch.Tensor) -> int:
    """Say how many chunks `decode` will yield."""
    return max(latents.shape[1] // int(pipeline.vae.num_latent_frames_batch_size), 1)


@torch.inference_mode()
def decode(
    pipeline: StockPipeline, latents: torch.Tensor, may_tile: Callable[[], bool] = lambda: False
) -> Iterator[Frames]:
    """Yield the frames of latents: 9, then 8 at a time.

    Args:
        pipeline: its VAE is used. Untiled, unless it is set to tiling: tiles cost 40 % more arithmetic, and show seams.
        latents: (1, latent frames, channels, height / 8, width / 8), without padding frames
        may_tile: asked once, when there is no memory for a chunk: sets the VAE to tiling and returns whether it did.
            The frames that were given by then stay as they are.
    """
    given = 0
    if not pipeline.vae.use_tiling:
        try:
            for frames in _decode_whole(pipeline, latents):
                given += 1
                yield frames
        except RuntimeError as error:
            if not is_out_of_gpu_memory(error) or not may_tile():
                raise
        else:
            return
    yield from islice(_decode_in_tiles(pipeline, latents), given, None)


def _decode_whole(pipeline: StockPipeline, latents: torch.Tensor) -> Iterator[Frames]:
    vae = pipeline.vae
    scaled = _scaled(pipeline, latents)
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


def _decode_in_tiles(pipeline: StockPipeline, latents: torch.Tensor) -> Iterator[Frames]:
    """Decode all frames tile by tile: a tile has its own memory of earlier frames, so none is whole before the end."""
    decoded = pipeline.vae.tiled_decode(_scaled(pipeline, latents), return_dict=False)[0][0]
    frames = decoded.shape[1]
    first = frames // count_chunks(pipeline, latents) + frames % count_chunks(pipeline, latents)
    yield _to_pixels(decoded[:, :first])
    for start in range(first, frames, 8):
        yield _to_pixels(decoded[:, start : start + 8])


def _scaled(pipeline: StockPipeline, latents: torch.Tensor) -> torch.Tensor:  # (1, channels, latent frames, …)
    scaled: torch.Tensor = 1 / pipeline.vae_scaling_factor_image * latents.permute(0, 2, 1, 3, 4)
    return scaled


def _to_pixels(decoded: torch.Tensor) -> Frames:
    """Turn (channels, frames, height, width) from -1 to 1 into bytes, with the stock pipeline's rounding."""
    unit = (decoded.permute(1, 2, 3, 0) * 0.5 + 0.5).clamp(0, 1)
    pixels: Frames = unit.float().mul(255).round().to(torch.uint8).cpu().numpy()
    return pixels
