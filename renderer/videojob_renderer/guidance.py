"""Classifier-free guidance: how far a step goes beyond what the model would predict without the prompt.

Sources: Ho and Salimans, arXiv 2207.12598; the dynamic schedule is that of diffusers' CogVideoX pipelines
(`use_dynamic_cfg`, 0.42.1), to the bit, also where its cosine turns more often than its authors may have meant.
"""

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Guidance:
    """The guidance of a render.

    Attributes:
        scale: how strictly the prompt is followed; up to 1 there is no guidance, and half the work.
        dynamic: whether the scale changes from step to step, as upstream advises with the DPM scheduler.
    """

    scale: float
    dynamic: bool = False

    @property
    def is_on(self) -> bool:
        """Whether a step needs the prediction for the negative prompt too."""
        return self.scale > 1

    def at(self, timestep: float, steps: int) -> float:
        """Return the scale at a timestep (999 is pure noise, 0 the video)."""
        if not self.dynamic:
            return self.scale
        return 1 + self.scale * ((1 - math.cos(math.pi * ((steps - timestep) / steps) ** 5.0)) / 2)

    def combine(self, predictions: torch.Tensor, timestep: torch.Tensor, steps: int) -> torch.Tensor:
        """Make one prediction (1, …) of those for negative prompt and prompt (2, …)."""
        if not self.is_on:
            return predictions
        unguided, prompted = predictions.chunk(2)
        return unguided + self.at(timestep.item(), steps) * (prompted - unguided)
