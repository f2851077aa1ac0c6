"""How a render is made fast: the key `speed` of a profile, handed to the renderer as JSON in `VIDEOJOB_SPEED`.

The defaults are the fastest that leaves no arithmetic out. What really took effect stands in `status.renderer.speed`,
because a wish may be beyond the node: a package, a second GPU or a compiler may be missing.
"""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from videojob.base import Manifest
from videojob.errors import rule_broken
from videojob.speed_choices import Attention, Compile, Memory, StepCache

Folder = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/-]+$", max_length=1024)]

_INTERVAL_CACHES = (StepCache.PYRAMID_ATTENTION, StepCache.TAYLOR_SEER)


class SpeedOptions(Manifest):
    """The speed options of a profile.

    Attributes:
        attention: the kernel of the attention.
        compile: whether blocks are compiled.
        compile_cache: absolute folder that outlives the pod (a volume of the profile) and holds what was compiled.
        fp8: lossy: the transformer's large matrix products in 8 bits; needs a GPU of compute capability 8.9 or newer.
        cache: what is taken over from earlier steps.
        cache_threshold: of `firstBlock`: the relative change of the first block below which the others are skipped.
        cache_interval: of the other caches: a fresh computation every so many steps.
        cfg_parallel: GPUs that share the two halves of guidance; 2 nearly halves the time.
        embedding_cache: whether embeddings of prompts are kept in the bucket, so that the text encoder is not loaded.
        memory: where the ladder of memory begins.
    """

    attention: Attention = Attention.AUTO
    compile: Compile = Compile.AUTO
    compile_cache: Folder | None = None
    fp8: bool = False
    cache: StepCache = StepCache.NONE
    cache_threshold: Annotated[float, Field(gt=0, le=1)] | None = None
    cache_interval: Annotated[int, Field(ge=2, le=10)] | None = None
    cfg_parallel: Annotated[int, Field(ge=1, le=2)] = 1
    embedding_cache: bool = True
    memory: Memory = Memory.AUTO

    @model_validator(mode="after")
    def _settings_belong_to_their_cache(self) -> Self:
        if self.cache_threshold is not None and self.cache is not StepCache.FIRST_BLOCK:
            raise rule_broken("cacheThreshold", f"has no effect unless cache is {StepCache.FIRST_BLOCK}")
        if self.cache_interval is not None and self.cache not in _INTERVAL_CACHES:
            raise rule_broken("cacheInterval", f"has no effect unless cache is one of {', '.join(_INTERVAL_CACHES)}")
        return self
