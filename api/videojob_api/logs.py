"""JSON lines on stdout, none with a prompt.

An exception may quote what it could not digest, so of a traceback only the places and the class are written, never
the text of the exception.
"""

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json

from videojob.tracebacks import places_of
from videojob.tracing import trace_id_of

traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The trace that the request belongs to, as its caller named it."""

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being answered; empty outside of one."""

_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    """One JSON object a record; what `extra` held becomes its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id.get():
            line["request_id"] = request_id.get()
        if traced := traceparent.get():
            line["trace_id"] = trace_id_of(traced)
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info and record.exc_info[1] is not None:
            line["traceback"] = places_of(record.exc_info[1])
        return to_json(line, fallback=str).decode()


def write_json_logs() -> None:
    """Make all loggers of this process, uvicorn's too, write JSON lines to stdout."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    # No line tells of these, and finding them out for each takes a third of its time: see "Optimization" in Python's
    # logging HOWTO.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - the HOWTO's own way
