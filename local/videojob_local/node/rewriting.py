"""Stand-in for a mount namespace: every mountPath in env values, command and args becomes the real path.

A process cannot have `/tmp` or `/etc/videojob` of its own, so what a container would be told about its mounts is
changed on the way in. Only whole path components count (`/data` is not in `/database`), the longest mountPath wins, and
URLs that contain the text stay. In JSON only strings that are paths as a whole are changed: a prompt that speaks of
`/tmp` must arrive as it was written.

Rewrite before references are expanded: their values have been rewritten already, and the real folders may themselves
lie below something like `/tmp`.
"""

import json
import re
from collections.abc import Mapping


class PathRewriter:
    """Replaces the mountPaths of one container by real paths."""

    def __init__(self, mounts: Mapping[str, str]) -> None:
        self._mounts = mounts
        paths = "|".join(re.escape(path) for path in sorted(mounts, key=len, reverse=True)) or "(?!)"
        # The parenthesis ends a reference: $(BUCKET)/videos is no path of its own.
        self._inside = re.compile(rf"(?<![\w.+/)-])({paths})(?![\w.-])")
        # By text and not by parsing, so that all other bytes stay: an escaped dollar sign must not become a plain one.
        self._json_string = re.compile(rf'(?<!\\)"({paths})((?:/[^\s"\\]*)?)"')

    def text(self, text: str) -> str:
        """Replace every mountPath inside a command line argument or a plain value."""
        return self._inside.sub(lambda match: self._mounts[match[1]], text)

    def value(self, value: str) -> str:
        """Replace every mountPath inside the value of a variable, JSON by its strings."""
        if not _is_json(value):
            return self.text(value)
        return self._json_string.sub(lambda match: f'"{self._mounts[match[1]]}{match[2]}"', value)


def _is_json(value: str) -> bool:
    if not value.startswith(("{", "[")):
        return False
    try:
        json.loads(value)
    except ValueError:
        return False
    return True
