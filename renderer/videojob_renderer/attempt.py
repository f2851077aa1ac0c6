"""The life of one pod: read the environment, render, record the result, say why it ended.

Whatever happens, exactly one exit code of `videojob.exits` comes out, and on every failure a termination message. The
status is a courtesy until the end; the commit of the result is not.
"""

import logging
from collections.abc import Mapping

from videojob.exits import ExitCode
from videojob.phases import Stage
from videojob.reasons import Reason
from videojob.termination import TerminationMessage
from videojob_renderer import logs
from videojob_renderer.environment import Settings, read_settings, termination_log
from videojob_renderer.errors import Interrupted, StatusUnavailable
from videojob_renderer.faults import classify
from videojob_renderer.interruption import Interruption
from videojob_renderer.kubernetes import StatusClient
from videojob_renderer.report import Reporter
from videojob_renderer.status import StatusWriter

_log = logging.getLogger(__name__)

COMMIT_PATIENCE_SECONDS = 900.0
"""How long a finished render waits for an API server that is away: an upgrade of a control plane takes minutes."""

ABANDON_PATIENCE_SECONDS = 3.0
"""How long a failed render does."""


def run(environ: Mapping[str, str], interruption: Interruption) -> ExitCode:
    """Render the request of the environment and return the exit code."""
    logs.configure()
    reporter: Reporter | None = None
    try:
        settings = read_settings(environ)
        logs.configure(settings)
        reporter = Reporter(settings, StatusWriter(StatusClient(settings).patch))
        _render(settings, reporter, interruption)
    except Interrupted:
        interruption.ignore()
        if _abandon(reporter):
            return ExitCode.OK
        return _end(environ, Reason.INTERRUPTED, "the renderer was asked to stop", ExitCode.INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - every fault becomes an exit code and a termination message
        interruption.ignore()
        fault = classify(error, reporter.stage if reporter else Stage.LOADING)
        _log.exception("the render failed", extra={"reason": fault.reason})
        _abandon(reporter)
        return _end(environ, fault.reason, fault.message, fault.exit_code)
    return ExitCode.OK


def _render(settings: Settings, reporter: Reporter, interruption: Interruption) -> None:
    _log.info("rendering", extra=settings.request.values_for_status())
    reporter.enter(Stage.LOADING)
    # Imports torch, which takes seconds: after the environment is checked, and with the status on its way.
    from videojob_renderer.render import render  # noqa: PLC0415
    from videojob_renderer.upload import Destination, Uploader  # noqa: PLC0415

    artifacts = render(settings.request, Uploader(Destination.of(settings)), reporter, interruption)
    reporter.commit(artifacts, COMMIT_PATIENCE_SECONDS)
    _log.info("rendered", extra={"artifacts": artifacts.dump(), "seconds": reporter.seconds})


def _abandon(reporter: Reporter | None) -> bool:
    """Write the last status of a render that ended early; tell whether its result was recorded after all."""
    if reporter is None:
        return False
    try:
        return reporter.abandon(ABANDON_PATIENCE_SECONDS)
    except StatusUnavailable as error:
        _log.warning("the last status was not written: %s", error)
        return False


def _end(environ: Mapping[str, str], reason: Reason, message: str, code: ExitCode) -> ExitCode:
    """Leave the last words where the kubelet finds them."""
    _log.info("ending", extra={"reason": reason, "cause": message, "exit_code": int(code)})
    try:
        termination_log(environ).write_text(TerminationMessage(reason=reason, message=message).encode())
    except OSError as error:
        _log.warning("the termination message was not written: %s", error)
    return code
