"""Errors in the middle of a watch: whichever it is, the watch begins anew with a list. Pure.

Kopf does so for 410 Gone and ends the operator for all others, such as the 500 for an event that the API server cannot
read from etcd. A client of Go lists again for those too; so all others are told to Kopf as 410.
"""

import json
import re
from collections.abc import AsyncIterator, Callable

GONE = 410
_ERROR = re.compile(rb'^\{"type":\s*"ERROR".*$', re.MULTILINE)


async def with_errors_as_gone(chunks: AsyncIterator[bytes], told: Callable[[int], object]) -> AsyncIterator[bytes]:
    """Pass a stream of JSON lines on, line by line or many at once.

    Args:
        chunks: pieces of the stream, cut anywhere.
        told: gets the code of each error but 410, which is part of every long life.
    """

    def as_gone(line: re.Match[bytes]) -> bytes:
        error = json.loads(line[0])["object"]
        if error.get("code") == GONE:
            return line[0]
        told(error.get("code", 0))
        return json.dumps({"type": "ERROR", "object": error | {"code": GONE}}).encode()

    rest = b""
    async for chunk in chunks:
        lines, end, rest = (rest + chunk).rpartition(b"\n")
        if end:
            yield _ERROR.sub(as_gone, lines) + end
    if rest:
        yield rest
