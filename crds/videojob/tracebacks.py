"""Where an exception was raised, for logs: without its text, which may quote what could not be digested, a prompt."""

import traceback
from types import TracebackType


def places_of(error: BaseException) -> list[str]:
    """Tell where an exception and its causes were raised, outermost first, without their texts."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    earlier = places_of(cause) if cause else []
    return [*earlier, *_frames(error.__traceback__), f"{type(error).__module__}.{type(error).__qualname__}"]


def _frames(trace: TracebackType | None) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]
