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

The word in `status.reason`, in the conditions, and in the `code` of a REST error that tells of the same; what only a REST call can meet has words of its
own ([api.md](api.md#errors)). A released word is never renamed and never changes its meaning, so scripts may compare it.
"""


def render() -> str:
    """Return the page.

    Raises:
        ValueError: a member does not stand on one line with its comment, so the page would lack it.
    """
    lines, described = [HEADER], set()
    for line in inspect.getsource(reasons.Reason).splitlines():
        if group := _GROUP.match(line):
            lines += ["", f"## {group['title']}", "", "| reason | means |", "|---|---|"]
        elif member := _MEMBER.match(line):
            described.add(member["word"])
            lines.append(f"| `{member['word']}` | {member['meaning']} |")
    if missing := {reason.value for reason in reasons.Reason} - described:
        raise ValueError(f"no one-line comment in {reasons.__file__}: {', '.join(sorted(missing))}")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


if __name__ == "__main__":
    PAGE.write_text(render())
