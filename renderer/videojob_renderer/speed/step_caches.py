"""What a step takes over from earlier steps instead of computing it: diffusers' caches, set up for CogVideoX. Lossy.

Left to their defaults some of them silently do nothing here (TaylorSeer's pattern does not match `attn1`; the pyramid
needs somebody to say the time), so each is set up by hand, and a test counts the calls that are saved. The caches
remember earlier steps, which no checkpoint holds: `refresh` makes them forget, and who refreshes at the same steps
with and without an interruption gets the same bits.
"""

from typing import Any

from diffusers import FirstBlockCacheConfig, PyramidAttentionBroadcastConfig
from diffusers.hooks.taylorseer_cache import TaylorSeerCacheConfig

from videojob.speed_choices import StepCache

DEFAULT_THRESHOLD = 0.08
"""Of the first block's relative change. 0.05 to 0.2 are usual for video models; not tuned on CogVideoX yet."""

DEFAULT_INTERVAL = 2

REFRESH_STEPS = 10
"""A render with a cache forgets it every so many steps, so that a resumed one can do so at the same steps."""


def use_cache(
    transformer: Any,
    cache: StepCache,
    *,
    threshold: float | None = None,
    interval: int | None = None,
) -> str:
    """Switch a cache on; return its name with its setting.

    Args:
        transformer: of CogVideoX, without a cache yet.
        cache: which one.
        threshold: of `firstBlock`.
        interval: of the others.
    """
    if cache is StepCache.NONE:
        return cache
    if cache is StepCache.FIRST_BLOCK:
        threshold = threshold or DEFAULT_THRESHOLD
        transformer.enable_cache(FirstBlockCacheConfig(threshold=threshold))  # type: ignore[no-untyped-call]
        return f"{cache} {threshold:g}"
    interval = interval or DEFAULT_INTERVAL
    transformer.enable_cache(_CONFIGURATIONS[cache](transformer, interval))
    return f"{cache} {interval}"


def refresh(transformer: Any) -> None:
    """Make a transformer's cache, if it has one, forget all earlier steps."""
    if transformer.is_cache_enabled:
        transformer._reset_stateful_cache()  # noqa: SLF001 - there is no other way


def is_refresh_step(step: int) -> bool:
    """Tell whether a cache is to be refreshed after this many steps; checkpoints go only there."""
    return step % REFRESH_STEPS == 0


def _pyramid_attention(transformer: Any, interval: int) -> Any:
    return PyramidAttentionBroadcastConfig(  # type: ignore[no-untyped-call]
        spatial_attention_block_skip_range=interval,
        spatial_attention_timestep_skip_range=(100, 850),
        current_timestep_callback=_clock(transformer),
    )


def _taylor_seer(transformer: Any, interval: int) -> Any:
    return TaylorSeerCacheConfig(
        cache_interval=interval,
        cache_identifiers=[r"transformer_blocks\.\d+\.attn1", r"transformer_blocks\.\d+\.ff"],
        taylor_factors_dtype=transformer.dtype,  # in float32 they take 73 GB of CogVideoX-5b's 80
    )


_CONFIGURATIONS = {
    StepCache.PYRAMID_ATTENTION: _pyramid_attention,
    StepCache.TAYLOR_SEER: _taylor_seer,
}


def _clock(transformer: Any) -> Any:
    """Return a function that tells the timestep the transformer was last called with."""
    now = [1000]

    def look(_module: Any, _arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        now[0] = int(keywords["timestep"][0])

    transformer.register_forward_pre_hook(look, with_kwargs=True)
    return lambda: now[0]
