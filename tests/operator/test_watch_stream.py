"""Errors in a watch, wherever the network cuts the stream."""

import json
from collections.abc import AsyncIterator

import pytest

from videojob_operator.watch_stream import with_errors_as_gone

EVENT = {"type": "ADDED", "object": {"spec": {"prompt": '{"type":"ERROR","object":{"code":500}}'}}}
GONE = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}
UNREADABLE = {"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "cannot be decoded"}}


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_every_error_is_told_to_kopf_as_410_and_events_stay_as_they_are(
    size: int, separators: tuple[str, str]
) -> None:
    stream = b"".join(json.dumps(each, separators=separators).encode() + b"\n" for each in (EVENT, GONE, UNREADABLE))

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(stream), size):
            yield stream[start : start + size]

    codes: list[int] = []
    passed = b"".join([piece async for piece in with_errors_as_gone(chunks(), codes.append)])
    event, *errors = [json.loads(line) for line in passed.splitlines()]
    assert event == EVENT
    assert [(each["type"], each["object"]["code"]) for each in errors] == [("ERROR", 410)] * 2
    assert codes == [500]


async def test_a_stream_that_is_cut_within_a_line_gives_what_there_is() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"type":"ADDED"}\n{"type":'

    assert [piece async for piece in with_errors_as_gone(chunks(), print)] == [b'{"type":"ADDED"}\n', b'{"type":']
