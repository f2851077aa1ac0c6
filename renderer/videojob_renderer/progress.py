"""How far a render is: pure arithmetic from stages and steps to one percentage and an estimate of the rest.

The spans are the shares of time of a 50-step render on an H100. On other machines the bar runs unevenly, but never
backwards.
"""

from datetime import datetime

from videojob.phases import Stage
from videojob.status import Progress

_SPANS = {
    Stage.LOADING: (0, 5),
    Stage.ENCODING: (5, 7),
    Stage.DENOISING: (7, 90),
    Stage.DECODING: (90, 97),
    Stage.UPLOADING: (97, 99),
}
"""First and last percent of each stage; 100 is the committed result."""

_ESTIMATED_STAGES = (Stage.DENOISING, Stage.DECODING)
"""The stages whose pace says something about the rest."""


def percent_of(stage: Stage, done: int, total: int) -> int:
    """Say the percentage of the whole job when `done` of `total` parts of a stage are done."""
    first, last = _SPANS[stage]
    return first + (last - first) * min(done, total) // total


class ProgressMeter:
    """Where one attempt stands.

    Args:
        pod_name: the attempt.
        steps: denoising steps in all.
    """

    def __init__(self, pod_name: str, steps: int) -> None:
        self._pod_name = pod_name
        self._steps = steps
        self._stage = Stage.LOADING
        self._stage_started_seconds = 0.0
        self._first_fraction = 0.0
        self._step: int | None = None

    def enter(self, stage: Stage, done: int = 0, total: int = 1, *, seconds: float, now: datetime) -> Progress:
        """Begin a stage, of which an earlier pod has `done` parts of `total` done.

        Args:
            stage: which.
            done: parts.
            total: parts.
            seconds: a monotonic clock.
            now: the wall's.
        """
        self._stage = stage
        self._stage_started_seconds = seconds
        if stage is Stage.DENOISING:
            self._step = done
        self._first_fraction = done / total
        return self._progress(percent_of(stage, done, total), None, now)

    def advance(self, done: int, total: int, *, seconds: float, now: datetime) -> Progress:
        """Say that `done` of `total` parts of the present stage are done."""
        if self._stage is Stage.DENOISING:
            self._step = done
        percent = percent_of(self._stage, done, total)
        return self._progress(percent, self._eta_seconds(done / total, percent, seconds), now)

    def committed(self, now: datetime) -> Progress:
        """Say that the result is recorded."""
        return self._progress(100, 0, now)

    def _eta_seconds(self, fraction: float, percent: int, seconds: float) -> int | None:
        covered = fraction - self._first_fraction
        if self._stage not in _ESTIMATED_STAGES or covered <= 0:
            return None
        first, last = _SPANS[self._stage]
        seconds_per_percent = (seconds - self._stage_started_seconds) / (covered * (last - first))
        return round(seconds_per_percent * (100 - percent))

    def _progress(self, percent: int, eta_seconds: int | None, now: datetime) -> Progress:
        return Progress(
            stage=self._stage,
            step=self._step,
            steps=self._steps,
            percent=percent,
            eta_seconds=eta_seconds,
            updated_time=now,
            pod_name=self._pod_name,
        )
