"""Stand-in for a mount namespace: every mountPath in env values, command and args becomes the real path.

A process cannot have `/tmp` or `/etc/videojob` of its own, so what a container would be told about its mounts is
changed on the way in. Only whole path components count (`/data` is not in `/database`), the longest mountPath wins, and
URLs that contain the text stay. In a value that is JSON only strings that are paths as a whole are changed: a prompt
that speaks of `/tmp` must arrive as it was written.
"""

import json
import re
from collections.abc import Mapping
from typing import Any


class PathRewriter:
    """Replaces the mountPaths of one container by real paths."""

    def __init__(self, mounts: Mapping[str, str]) -> None:
        self._mounts = mounts
        paths = "|".join(re.escape(path) for path in sorted(mounts, key=len, reverse=True)) or "(?!)"
        self._inside = re.compile(rf"(?<![\w.+/-])({paths})(?![\w.-])")
        self._whole = re.compile(rf"({paths})(/\S*)?")

    def text(self, text: str) -> str:
        """Replace every mountPath inside a command line argument or a plain value."""
        return self._inside.sub(lambda match: self._mounts[match[1]], text)

    def value(self, value: str) -> str:
        """Replace every mountPath inside the value of a variable, JSON by its strings."""
        if not value.startswith(("{", "[")):
            return self.text(value)
        try:
            document = json.loads(value)
        except ValueError:
            return self.text(value)
        rewritten = self._json(document)
        return value if rewritten == document else json.dumps(rewritten, ensure_ascii=False)

    def _json(self, document: Any) -> Any:
        match document:
            case dict():
                return {key: self._json(value) for key, value in document.items()}
            case list():
                return [self._json(value) for value in document]
            case str() if match := self._whole.fullmatch(document):
                return self._mounts[match[1]] + (match[2] or "")
            case _:
                return document
