"""JSON logs, one object a line, on stdout.

Bodies of objects hold prompts. So of what `extra` brings only the fields that are named here leave the process, of an
exception only the places and the class, and of Kopf's own lines, which quote bodies at DEBUG, only warnings and worse.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from videojob.tracebacks import places_of

FIELDS = (
    *("job", "namespace", "uid", "phase", "reason", "pod", "error"),
    *("identity", "host", "attempt", "profiles", "models"),
)


class JsonFormatter(logging.Formatter):
    """Time, level, logger, message and the fields of this module."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info and record.exc_info[1] is not None:
            line["traceback"] = places_of(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def set_up_logs() -> None:
    """Send all logs to stdout as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("kopf", "kopf.objects", "aiohttp", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
