"""Write docs/reasons.md from the enum in videojob.reasons: each member with the comment that stands on its line."""

import inspect
import re
from pathlib import Path

from videojob import reasons

PAGE = Path(__file__).resolve().parent.parent / "docs/reasons.md"
_MEMBER = re.compile(r'^ {4}[A-Z_]+ = "(?P<word>\w+)"  # (?P<meaning>.+)$')
_GROUP = re.compile(r"^ {4}# (?P<title>.+)$")

HEADER = """# Reasons

<!-- Generated from crds/videojob/reasons.py by `make docs`; do not edit. -->

The word in `status.reason`, in the conditions, and in the `code` of a REST error. A released word is never renamed and never changes its
meaning, so scripts may compare it.
"""


def render() -> str:
    """Return the page."""
    lines = [HEADER]
    for line in inspect.getsource(reasons.Reason).splitlines():
        if group := _GROUP.match(line):
            lines += ["", f"## {group['title']}", "", "| reason | means |", "|---|---|"]
        elif member := _MEMBER.match(line):
            lines.append(f"| `{member['word']}` | {member['meaning']} |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


if __name__ == "__main__":
    PAGE.write_text(render())
