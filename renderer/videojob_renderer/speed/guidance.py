"""The two halves of guidance on two GPUs: one transformer each, both at work at the same time.

One process with a replica on each GPU, and not two processes with a collective: a step exchanges 4 MB, there is
nothing to launch, join or lose, and a fault of either GPU is an exception here. A thread a GPU, because the launch of
a thousand kernels takes Python some 10 ms, by which the second GPU would otherwise start late. The result has the bits
of two calls with a batch of one; a batch of two may round differently, so the kernels decide whether it has those of
the stock pipeline.
"""

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch


class ParallelGuidance:
    """Stands in for the transformer of a pipeline: called with both halves, it has each GPU compute one.

    Args:
        transformers: two alike; the first one's device takes inputs and gives outputs.
        hold: what is to be so in the whole process while both are at work.
    """

    def __init__(
        self, transformers: tuple[Any, Any], hold: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        self._transformers = transformers
        self._hold = hold
        self._devices = tuple(next(transformer.parameters()).device for transformer in transformers)
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="guidance")
        self._is_warm = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transformers[0], name)

    def __call__(
        self,
        *,
        hidden_states: torch.Tensor,  # (2, latent frames, channels, height, width): unguided, then prompted
        encoder_hidden_states: torch.Tensor,  # (2, text tokens, width)
        timestep: torch.Tensor,  # (2,)
        **shared: Any,
    ) -> tuple[torch.Tensor]:
        """Predict; a batch of one, which is a render without guidance, is computed by the first GPU alone."""
        if hidden_states.shape[0] == 1:
            answer: tuple[torch.Tensor] = self._transformers[0](
                hidden_states=hidden_states, encoder_hidden_states=encoder_hidden_states, timestep=timestep, **shared
            )
            return answer
        halves = [
            {
                "hidden_states": hidden_states[half : half + 1],
                "encoder_hidden_states": encoder_hidden_states[half : half + 1],
                "timestep": timestep[half : half + 1],
                **shared,
            }
            for half in (0, 1)
        ]
        if self._is_warm:
            with self._hold():
                second = self._threads.submit(self._half, 1, halves[1])
                try:
                    first = self._half(0, halves[0])
                finally:
                    wait((second,))
            return (torch.cat([first, second.result().to(first.device)]),)
        # The first call may compile, which two threads had better not do at once.
        first, later = self._half(0, halves[0]), self._half(1, halves[1])
        self._is_warm = True
        return (torch.cat([first, later.to(first.device)]),)

    @property
    def is_cache_enabled(self) -> bool:
        """Whether steps are taken over from earlier ones."""
        return bool(self._transformers[0].is_cache_enabled)

    @contextmanager
    def cache_context(self, name: str) -> Iterator[None]:
        """Enter the cache context of both."""
        with ExitStack() as stack:
            for transformer in self._transformers:
                stack.enter_context(transformer.cache_context(name))
            yield

    def _reset_stateful_cache(self) -> None:
        for transformer in self._transformers:
            transformer._reset_stateful_cache()  # noqa: SLF001 - as `step_caches.refresh` does

    @torch.inference_mode()  # a property of the thread
    def _half(self, half: int, inputs: dict[str, Any]) -> torch.Tensor:
        prediction: torch.Tensor = self._transformers[half](**_moved(inputs, self._devices[half]))[0]
        return prediction


def alone(transformer: Any) -> Any:
    """Return the transformer of the first GPU, whether or not there is a second one."""
    return transformer._transformers[0] if isinstance(transformer, ParallelGuidance) else transformer  # noqa: SLF001


def replica(transformer: Any, device: torch.device) -> Any:
    """Copy a transformer onto another device; over NVLink 11 GB take less than a second."""
    return copy.deepcopy(transformer).to(device)


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {key: _moved(item, device) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_moved(item, device) for item in value)
    return value
