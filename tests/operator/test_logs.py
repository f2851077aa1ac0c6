"""A line of the log holds the fields that are named, and all that the operator means to say are."""

import ast
import json
import logging
import sys
from pathlib import Path

import videojob_operator
from videojob.request import VideoJobRequest
from videojob_operator.logs import FIELDS, JsonFormatter

SOURCES = Path(videojob_operator.__file__).parent


def said_besides(call: ast.Call) -> set[str]:
    """Return the names of the fields that are written out in `extra` of a call."""
    return {
        key.value
        for keyword in call.keywords
        if keyword.arg == "extra"
        for node in ast.walk(keyword.value)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


def test_no_field_that_the_operator_gives_a_line_is_dropped() -> None:
    calls = [
        node
        for path in SOURCES.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]
    given = set().union(*map(said_besides, calls))
    assert {"error", "pod", "profiles", "models"} <= given
    assert given <= set(FIELDS)


def test_a_line_is_json_with_the_named_fields_and_no_other() -> None:
    record = logging.makeLogRecord({"msg": "pod declared failed", "pod": "squirrel-abcde", "body": "a prompt"})
    line = json.loads(JsonFormatter().format(record))
    assert (line["message"], line["pod"]) == ("pod declared failed", "squirrel-abcde")
    assert "body" not in line


def test_a_traceback_tells_places_but_not_what_the_exceptions_say() -> None:
    try:
        try:
            VideoJobRequest.model_validate({"prompt": "a squirrel", "numFrames": "a squirrel"})
        except ValueError as error:
            raise RuntimeError("another squirrel") from error
    except RuntimeError:
        record = logging.makeLogRecord({"msg": "reconciling failed", "exc_info": sys.exc_info()})
    text = JsonFormatter().format(record)
    assert "squirrel" not in text
    trace = json.loads(text)["traceback"]
    assert trace[-1] == "builtins.RuntimeError"
    assert any("test_logs.py" in place for place in trace)
