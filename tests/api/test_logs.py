"""The lines of the log."""

import json
import logging
import sys

from videojob_api import logs


def line_of(record: logging.LogRecord) -> dict[str, object]:
    line: dict[str, object] = json.loads(logs.JsonFormatter().format(record))
    return line


def test_a_line_holds_what_was_given_with_it() -> None:
    record = logging.makeLogRecord({"name": "api", "msg": "job %s", "args": ("created",), "job_id": "job-1"})
    token = logs.request_id.set("r-1")
    line = line_of(record)
    logs.request_id.reset(token)
    assert (line["message"], line["job_id"], line["request_id"]) == ("job created", "job-1", "r-1")


def test_a_line_stays_one_line() -> None:
    record = logging.makeLogRecord({"msg": "a\nb\u2028c"})
    assert "\n" not in logs.JsonFormatter().format(record)


def test_a_traceback_tells_places_but_not_what_the_exceptions_say() -> None:
    try:
        try:
            int("a squirrel")
        except ValueError as error:
            raise RuntimeError("another squirrel") from error
    except RuntimeError:
        record = logging.makeLogRecord({"msg": "failed", "exc_info": sys.exc_info()})
    line = line_of(record)
    assert "squirrel" not in json.dumps(line)
    trace = line["traceback"]
    assert isinstance(trace, list)
    assert trace[-1] == "builtins.RuntimeError"
    assert "builtins.ValueError" in trace
    assert any("test_logs.py" in place for place in trace)
