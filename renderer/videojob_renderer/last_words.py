"""The termination message: what the operator reads of a container that ended badly, or that could not report."""

import logging
from collections.abc import Mapping

from videojob.termination import MAX_BYTES, TerminationMessage
from videojob_renderer.environment import termination_log

_log = logging.getLogger(__name__)


def leave(environ: Mapping[str, str], words: TerminationMessage) -> bool:
    """Leave the last words where the kubelet finds them; that they cannot be left is no reason to end otherwise.

    Returns:
        Whether they were left, and the kubelet will keep all of them.
    """
    text = words.encode()
    try:
        termination_log(environ).write_text(text)
    except OSError as error:
        _log.warning("the termination message was not written: %s", error)
        return False
    return len(text.encode()) <= MAX_BYTES
