"""Log lines are JSON and never hold a prompt."""

import json
import logging
import sys

from videojob_renderer.logs import JsonFormatter, redact

SECRETS = ('A "quoted" prompt\nof two lines',)


def fail(message: str) -> None:
    raise ValueError(message)


def line(message: str, *, with_error: str | None = None, **extra: object) -> dict[str, str]:
    record = logging.LogRecord("test", logging.INFO, "test.py", 1, message, (), None)
    vars(record).update(extra)
    if with_error is not None:
        try:
            fail(with_error)
        except ValueError:
            record.exc_info = sys.exc_info()
    text = JsonFormatter({"job": "squirrel"}, SECRETS).format(record)
    assert "\n" not in text
    parsed: dict[str, str] = json.loads(text)
    return parsed


def test_a_line_names_the_job_and_its_extras() -> None:
    assert line("hello", steps=50) | {"time": ""} == {
        "time": "",
        "level": "info",
        "logger": "test",
        "message": "hello",
        "job": "squirrel",
        "steps": 50,
    }


def test_a_prompt_is_cut_out_of_messages_and_tracebacks() -> None:
    told = line(f"truncated: {SECRETS[0]}", with_error=f"cannot tokenize {SECRETS[0]!r}")
    assert told["message"] == "truncated: [prompt]"
    assert "quoted" not in told["traceback"]
    assert "cannot tokenize" in told["traceback"]


def test_every_spelling_of_a_prompt_is_cut_out() -> None:
    for spelling in (SECRETS[0], repr(SECRETS[0]), json.dumps(SECRETS[0])):
        assert "quoted" not in redact(f"<{spelling}>", SECRETS)
