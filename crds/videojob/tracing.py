"""The trace a request belongs to, as W3C's `traceparent` names it: from the caller to the renderer's log. Pure.

It travels in an annotation, which anybody may write who may create VideoJobs, and from there in an environment
variable, in which the kubelet expands `$(…)`: so everything but the exact form is as good as nothing.
"""

import re

from videojob.resource import GROUP

ANNOTATION = f"{GROUP}/traceparent"

_FORM = re.compile(r"00-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-[0-9a-f]{2}", re.ASCII)


def legal_traceparent(text: str | None) -> str | None:
    """Return the text where it is a traceparent of version 00, else None."""
    match = _FORM.fullmatch(text or "")
    if match is None or not match["trace"].strip("0") or not match["parent"].strip("0"):
        return None
    return text


def trace_id_of(traceparent: str) -> str:
    """Return the id of the trace in a legal traceparent: what logs are searched for."""
    return traceparent.split("-")[1]
