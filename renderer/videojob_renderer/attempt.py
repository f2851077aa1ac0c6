"""The life of one pod: read the environment, render, record the result, say why it ended.

Whatever happens, exactly one exit code of `videojob.exits` comes out, and on every failure a termination message. The
status is a courtesy until the end; the commit of the result is not.
"""

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from videojob.exits import ExitCode
from videojob.phases import Stage
from videojob.reasons import Reason
from videojob.termination import TerminationMessage
from videojob_renderer import last_words, logs
from videojob_renderer.environment import Settings, read_settings
from videojob_renderer.errors import Interrupted, StatusAway, StatusUnavailable
from videojob_renderer.faults import classify
from videojob_renderer.interruption import Interruption
from videojob_renderer.kubernetes import StatusClient
from videojob_renderer.report import Reporter
from videojob_renderer.scratch import scratch_folder
from videojob_renderer.status import StatusWriter
from videojob_renderer.telemetry import with_gpu
from videojob_renderer.watchdog import Standstill, Watchdog

if TYPE_CHECKING:
    from videojob_renderer.checkpoint_store import CheckpointStore
    from videojob_renderer.objects import Objects

_log = logging.getLogger(__name__)

COMMIT_PATIENCE_SECONDS = 900.0
"""How long a finished render waits for an API server that is away: an upgrade of a control plane takes minutes."""

INTERRUPTED_COMMIT_PATIENCE_SECONDS = 60.0
"""How long it still waits once it is asked to stop: the pod has 120 s."""

ABANDON_PATIENCE_SECONDS = 3.0
"""How long a render without a result does."""


def run(environ: Mapping[str, str], interruption: Interruption) -> ExitCode:
    """Render the request of the environment and return the exit code."""
    logs.configure()
    attempt = _Attempt(environ, interruption)
    try:
        interruption.allow()
        return attempt.run()
    except Interrupted:
        return attempt.end_interrupted()


class _Attempt:
    """One pod's render, and what there is to say at its end."""

    def __init__(self, environ: Mapping[str, str], interruption: Interruption) -> None:
        self._environ = environ
        self._interruption = interruption
        self._reporter: Reporter | None = None
        self._store: CheckpointStore | None = None

    def run(self) -> ExitCode:
        """Render; every fault becomes an exit code and a termination message.

        Raises:
            Interrupted: at any point.
        """
        try:
            settings = read_settings(self._environ)
            logs.configure(settings)
            client = StatusClient(settings)
            # The GPU is looked at in the writer's thread, as often as the status is written.
            writer = StatusWriter(lambda status: client.patch(with_gpu(status)), settings.progress_seconds)
            self._reporter = Reporter(settings, writer, Watchdog(self._end_hung))
            self._render(settings, self._reporter)
            self._interruption.ignore()
            # The record may be lost all the same: a cluster that comes back from a backup knows of this pod, at best.
            self._leave_result(self._reporter, "the video is in S3, and recorded")
        except Exception as error:  # noqa: BLE001 - whatever it is, it must be told
            self._interruption.ignore()
            return self._end_failed(error)
        self._forget_checkpoint()
        return ExitCode.OK

    def end_interrupted(self) -> ExitCode:
        """Say that the render was asked to stop, unless its result is there already."""
        if self._abandon():
            self._forget_checkpoint()
            return ExitCode.OK
        return self._end(Reason.INTERRUPTED, "the renderer was asked to stop", ExitCode.INTERRUPTED)

    def _render(self, settings: Settings, reporter: Reporter) -> None:
        _log.info("rendering", extra=settings.request.values_for_status())
        reporter.enter(Stage.LOADING)
        from videojob_renderer.checkpoint_store import CheckpointStore  # noqa: PLC0415 - after the first status
        from videojob_renderer.prefetch import prefetch_model  # noqa: PLC0415
        from videojob_renderer.upload import Destination, Uploader  # noqa: PLC0415

        storage = _storage(settings)  # before torch, whose import takes seconds: a wrong setting is told
        uploader = Uploader(Destination.of(settings), storage)
        uploader.check()
        with scratch_folder():
            pass  # likewise
        self._store = CheckpointStore(settings, storage)
        prefetch_model(settings, self._environ)
        # Idle threads of torch are to sleep: spinning, they doubled the CPU seconds of a decode on shared cores.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        with self._store:
            from videojob_renderer.render import render  # noqa: PLC0415 - beside the fetching of the checkpoint

            artifacts = render(
                settings,
                storage,
                store=self._store,
                uploader=uploader,
                reporter=reporter,
                interruption=self._interruption,
            )
            reporter.commit(artifacts, COMMIT_PATIENCE_SECONDS)
        _log.info("rendered", extra={"artifacts": artifacts.dump(), "seconds": reporter.seconds})

    def _forget_checkpoint(self) -> None:
        """Delete the checkpoint of a video that is recorded; without the video it is kept for the next pod."""
        if self._store is not None:
            self._store.remove()

    def _end_failed(self, error: Exception) -> ExitCode:
        fault = classify(error, self._reporter.stage if self._reporter else Stage.LOADING)
        _log.error("the render failed", exc_info=error, extra={"reason": fault.reason})
        if self._abandon():
            self._forget_checkpoint()
            return ExitCode.OK
        return self._end(fault.reason, fault.message, fault.exit_code)

    def _end_hung(self, standstill: Standstill) -> None:
        """End the process in the watchdog's thread: the render's own waits for a call that never comes back."""
        if self._reporter is None or self._reporter.is_complete:
            return
        fault = standstill.fault(self._reporter.stage)
        _log.error("the render hangs", extra={"reason": fault.reason})
        self._abandon()
        os._exit(self._end(fault.reason, fault.message, fault.exit_code))

    def _abandon(self) -> bool:
        """Write the last status of a render that ended early; tell whether its result is recorded, or will be."""
        if self._reporter is None:
            return False
        complete = self._reporter.is_complete
        try:
            self._reporter.abandon(INTERRUPTED_COMMIT_PATIENCE_SECONDS if complete else ABANDON_PATIENCE_SECONDS)
        except StatusUnavailable as error:
            _log.warning("the last status was not written: %s", error)
            away = "the video is in S3; the API server was away and could not be told"
            return complete and isinstance(error, StatusAway) and self._leave_result(self._reporter, away)
        return complete

    def _leave_result(self, reporter: Reporter, message: str) -> bool:
        """Leave the result in the last words: the kubelet passes them on when the API server is back."""
        words = TerminationMessage(reason=Reason.COMPLETED, message=message, artifacts=reporter.artifacts)
        return last_words.leave(self._environ, words)

    def _end(self, reason: Reason, message: str, code: ExitCode) -> ExitCode:
        """Leave the last words where the kubelet finds them."""
        _log.info("ending", extra={"reason": reason, "cause": message, "exit_code": int(code)})
        artifacts = self._reporter.artifacts if self._reporter else None
        last_words.leave(self._environ, TerminationMessage(reason=reason, message=message, artifacts=artifacts))
        return code


def _storage(settings: Settings) -> "Objects":
    """Reach S3 by the way that the operator says; boto3 is imported only where there are keys."""
    if settings.broker_url:
        from videojob_renderer.brokered_storage import BrokeredStorage  # noqa: PLC0415

        return BrokeredStorage(settings.broker_url, settings.token_dir, settings.bucket)
    from videojob_renderer.storage import ObjectStorage  # noqa: PLC0415

    return ObjectStorage()
