"""What the pages for people name is there: files, headings, targets of make, tests, values of the chart, variables.

A page is read as Markdown only as far as needed: code is what stands between backticks or in a block. Pure.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (*ROOT.glob("docs/*.md"), *ROOT.glob("*.md"), ROOT / "charts/videojob/README.md")
)
SOURCES = ("crds", "operator", "renderer", "api", "local", "charts/videojob/templates")
FOLDERS = (*SOURCES, "charts", "bench", "docs", "examples", "requirements", "scripts", "tests")

_BLOCK = re.compile(r"^```.*?^```$|^    .*?$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_FILE = re.compile(r"\.(?:py|md|json|yaml|jpg|mp4)$")


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest) -> Path:
    return ROOT / str(request.param)


def code_of(page: Path) -> Iterator[str]:
    """Yield what a page shows as code."""
    yield from _BLOCK.findall(page.read_text())
    yield from spans_of(page)


def spans_of(page: Path) -> list[str]:
    """Return what stands between backticks."""
    return _SPAN.findall(_BLOCK.sub("", page.read_text()))


def anchors_of(page: Path) -> set[str]:
    """Return the names under which the headings of a page can be linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        name, _, anchor = link.partition("#")
        if "://" not in link:
            target = page.parent / name if name else page
            assert target.exists(), link
            assert not anchor or anchor in anchors_of(target), link


def test_every_target_of_make_is_one(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for code in code_of(page) for name in re.findall(r"\bmake (?:-s )?([a-z][a-z0-9-]*)", code)}
    assert named <= targets


def test_every_file_of_the_repository_is_there(page: Path) -> None:
    starts = tuple(f"{folder}/" for folder in FOLDERS)
    for span in spans_of(page):
        name = span.split("::")[0]
        if name.startswith(starts) and " " not in name:
            assert list(ROOT.glob(name.rstrip("/"))), span
    for name in {name for code in code_of(page) for name in re.findall(r"\btemplates/[\w./*-]+", code)}:
        assert list((ROOT / "charts/videojob").glob(name)), name


def test_every_test_is_in_the_file_that_is_named_with_it(page: Path) -> None:
    for name, test in re.findall(r"(test_\w+\.py)(?:::(test_\w+))?", page.read_text()):
        files = list((ROOT / "tests").rglob(name))
        assert any(f"def {test}" in file.read_text() for file in files), f"{name}::{test}"


def test_every_value_is_one_of_the_chart(page: Path) -> None:
    values = yaml.safe_load((ROOT / "charts/videojob/values.yaml").read_text())
    set_by_hand = {pair for code in code_of(page) for pair in re.findall(r"--set[ =]([\w.,=-]+)", code)}
    words = {word for pair in set_by_hand for word in pair.split(",")} | set(spans_of(page))
    for word in words:
        name = word.split("=")[0].split(":")[0]
        if re.fullmatch(r"\w+(?:\.\w+)+", name) and name.split(".")[0] in values and not _FILE.search(name):
            assert has(values, name), word


def has(values: Any, name: str) -> bool:
    """Tell whether there is a value of that name; within what is free by nature, such as annotations, any is."""
    for key in name.split("."):
        if values == {}:
            return True
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True


def test_every_variable_is_one_that_something_reads(page: Path) -> None:
    text = page.read_text()
    named = set(re.findall(r"\bVIDEOJOB_[A-Z0-9_]+\b", text))
    for_the_reader = set(re.findall(r"\bexport (VIDEOJOB_\w+)=", text))
    assert named - for_the_reader <= variables()


@cache
def variables() -> set[str]:
    """Return all variables of videojob that stand in its sources."""
    files = (file for folder in SOURCES for file in (ROOT / folder).rglob("*") if file.is_file())
    texts = (file.read_text() for file in files if file.suffix in {".py", ".yaml", ".tpl"})
    return {name for text in texts for name in re.findall(r"\bVIDEOJOB_[A-Z0-9_]+\b", text)}
