"""What a render tells about itself while it runs: stages, steps, seconds; handed to the status writer.

Fields that have no value go out as null, because a merge patch would keep those of an earlier attempt.
"""

import logging
import time
from datetime import UTC, datetime
from importlib.metadata import version

from pydantic import BaseModel

from videojob.phases import Stage
from videojob.status import Artifacts, RendererReport, StageSeconds
from videojob_renderer import telemetry
from videojob_renderer.environment import Settings
from videojob_renderer.progress import ProgressMeter
from videojob_renderer.status import Status, StatusWriter
from videojob_renderer.watchdog import Watchdog

_log = logging.getLogger(__name__)

_SECONDS_OF = {
    Stage.LOADING: "load",
    Stage.ENCODING: "encode_prompt",
    Stage.DENOISING: "denoise",
    Stage.DECODING: "decode",
    Stage.UPLOADING: "upload",
}


class Reporter:
    """Keeps the account of one attempt.

    Args:
        settings: which attempt, and how many steps it has.
        writer: sends it.
        watchdog: is told of the pace.

    Attributes:
        stage: what the renderer is doing.
        job: whose attempt this is.
    """

    def __init__(self, settings: Settings, writer: StatusWriter, watchdog: Watchdog | None = None) -> None:
        self.job = {
            "name": settings.name,
            "namespace": settings.namespace,
            "uid": settings.uid,
            "podName": settings.pod_name,
        }
        self._writer = writer
        self._watchdog = watchdog
        self._meter = ProgressMeter(settings.pod_name, settings.request.steps)
        self._report = RendererReport(image=settings.image, version=version("videojob-renderer"))
        self._seconds: dict[str, float] = {}
        self._stage_started_seconds = time.monotonic()
        self._result: Status | None = None
        self.stage = Stage.LOADING

    def enter(self, stage: Stage, *, done: int = 0, total: int = 1) -> None:
        """Begin a stage, of which an earlier pod has `done` parts of `total` done."""
        if self._watchdog:
            self._watchdog.enter()
        if stage is not self.stage:
            self._end_stage()
            _log.info("stage ended", extra={"stage": self.stage, "seconds": self._seconds[_SECONDS_OF[self.stage]]})
        self.stage = stage
        progress = self._meter.enter(stage, done, total, seconds=time.monotonic(), now=datetime.now(UTC))
        self._writer.put({"progress": _whole(progress), **self._renderer()}, urgent=True)

    def advance(self, done: int, total: int) -> None:
        """Say that `done` of `total` parts of this stage are done."""
        if self._watchdog:
            self._watchdog.advance()
        progress = self._meter.advance(done, total, seconds=time.monotonic(), now=datetime.now(UTC))
        self._writer.put({"progress": _whole(progress), **self._renderer()})

    def describe(self, **fields: object) -> None:
        """Add fields to the renderer's report."""
        self._report = self._report.model_copy(update=fields)

    def drew_seed(self, seed: int) -> None:
        """Record the seed that the request left open."""
        self._writer.put({"resolved": {"seed": seed}})

    def commit(self, artifacts: Artifacts, patience_seconds: float) -> None:
        """Record the result: the one write that makes the render a success.

        Raises:
            StatusUnavailable: it could not be recorded.
        """
        self._end_stage()
        progress = _whole(self._meter.committed(datetime.now(UTC)))
        self._result = {"artifacts": artifacts.dump(), "progress": progress, **self._renderer()}
        self._writer.close(self._result, patience_seconds)

    @property
    def is_complete(self) -> bool:
        """Whether the render came to its end, and only the record of its result may be missing."""
        return self._result is not None

    @property
    def artifacts(self) -> Status | None:
        """The files of a render that came to its end."""
        return self._result["artifacts"] if self._result else None

    def abandon(self, patience_seconds: float) -> None:
        """Write what still waits, as far as the render came.

        Raises:
            StatusUnavailable: it could not be written.
        """
        if self._result is None:
            self._end_stage()
        self._writer.close(self._result or self._renderer(), patience_seconds)

    def account(self) -> RendererReport:
        """Return with what is rendered, and the seconds of all stages so far."""
        self._end_stage()
        if gpu := telemetry.sample():
            self.describe(gpu=gpu.name, gpu_memory_total_bytes=gpu.memory_total_bytes)
        return self._report

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds spent in each stage that has ended."""
        return dict(self._seconds)

    def _end_stage(self) -> None:
        now = time.monotonic()
        name = _SECONDS_OF[self.stage]
        self._seconds[name] = round(self._seconds.get(name, 0) + now - self._stage_started_seconds, 3)
        self._stage_started_seconds = now
        self.describe(seconds=StageSeconds(**self._seconds))

    def _renderer(self) -> Status:
        return {"renderer": _whole(self._report)}


def _whole(part: BaseModel) -> Status:
    return part.model_dump(by_alias=True, mode="json")
