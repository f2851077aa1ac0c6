"""Write the table of values in the chart's README from values.yaml: a comment `# -- …` speaks of the key below it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parent.parent / "charts/videojob"
PAGE = CHART / "README.md"
BEGIN, END = "<!-- values: generated from values.yaml by `make docs` -->\n", "<!-- end of values -->\n"

_KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z0-9.-]+):")
_FIRST = re.compile(r"^ *# -- (?P<text>.+)$")
_MORE = re.compile(r"^ *#    (?P<text>.+)$")
_LONGEST_DEFAULT = 60


def documented(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield path and explanation of each value that has one."""
    path: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        if first := _FIRST.match(line):
            comment = [first["text"]]
        elif (more := _MORE.match(line)) and comment:
            comment.append(more["text"])
        elif key := _KEY.match(line):
            path = [*path[: len(key["indent"]) // 2], key["key"]]
            if comment:
                yield tuple(path), " ".join(comment)
            comment = []


def default_of(values: Any, path: tuple[str, ...]) -> str:
    """Return a default as JSON, or where to find it where it is long."""
    for key in path:
        values = values[key]
    text = json.dumps(values, ensure_ascii=False)
    return f"`{text}`" if len(text) <= _LONGEST_DEFAULT else "see values.yaml"


def table(text: str) -> str:
    """Return all values as one table."""
    values = yaml.safe_load(text)
    lines = ["| value | default | means |", "|---|---|---|"]
    for path, meaning in documented(text):
        cell = meaning.replace("|", "\\|").replace("<", "&lt;")
        lines.append(f"| `{'.'.join(path)}` | {default_of(values, path)} | {cell} |")
    return "\n".join(lines) + "\n"


def render() -> str:
    """Return the whole page as it should be."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    return before + BEGIN + "\n" + table((CHART / "values.yaml").read_text()) + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(render())
