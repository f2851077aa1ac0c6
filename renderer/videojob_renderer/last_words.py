"""The termination message: what the operator reads of a container that ended badly."""

import logging
from collections.abc import Mapping

from videojob.termination import TerminationMessage
from videojob_renderer.environment import termination_log

_log = logging.getLogger(__name__)


def leave(environ: Mapping[str, str], words: TerminationMessage) -> None:
    """Leave the last words where the kubelet finds them; that they cannot be left is no reason to end otherwise."""
    try:
        termination_log(environ).write_text(words.encode())
    except OSError as error:
        _log.warning("the termination message was not written: %s", error)
