"""JSON lines on stdout, each with the job and its uid, none with a prompt.

Libraries may quote their input in warnings and errors (diffusers does when it truncates a prompt), so every line is
searched for the prompts of this request before it leaves, tracebacks included.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from videojob.tracing import trace_id_of
from videojob_renderer.environment import Settings

_SHORTEST_SECRET = 4
"""A prompt shorter than this is part of ordinary words; it cannot be told from them."""

_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a record.

    Args:
        fields: go into every line.
        secrets: texts that must not appear in any line.
    """

    def __init__(self, fields: dict[str, str], secrets: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._fields = fields
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._clean(record.getMessage()),
            **self._fields,
        }
        line |= {key: self._clean_value(value) for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["traceback"] = self._clean(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)

    def _clean_value(self, value: object) -> object:
        return self._clean(value) if isinstance(value, str) else value

    def _clean(self, text: str) -> str:
        return redact(text, self._secrets)


def redact(text: str, secrets: tuple[str, ...]) -> str:
    """Return a text without any of the secrets."""
    for secret in secrets:
        for spelling in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]):
            text = text.replace(spelling, "[prompt]")
    return text


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Return the texts of a request that belong to its user, longest first."""
    texts = {settings.request.prompt.strip(), settings.request.negative_prompt.strip()}
    return tuple(sorted((text for text in texts if len(text) >= _SHORTEST_SECRET), key=len, reverse=True))


def fields_of(settings: Settings) -> dict[str, str]:
    """Return what every line says: whose job this is, and which trace its request belongs to."""
    fields = {"job": settings.name, "namespace": settings.namespace, "uid": settings.uid, "pod": settings.pod_name}
    return fields | ({"trace_id": trace_id_of(settings.traceparent)} if settings.traceparent else {})


def configure(settings: Settings | None = None, stream: TextIO | None = None) -> None:
    """Send all logging, and Python's warnings, to stdout; before the settings are known, without the job's name.

    Args:
        settings: of the job.
        stream: instead of stdout.
    """
    formatter = JsonFormatter({})
    if settings is not None:
        formatter = JsonFormatter(fields_of(settings), secrets_of(settings))
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for noisy in ("httpx", "httpcore", "botocore", "boto3", "urllib3", "diffusers", "transformers"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
