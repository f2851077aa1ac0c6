"""The layout of the repository keeps Python and the images working."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
_TEST = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
DISTRIBUTIONS = ("crds", "operator", "renderer", "api", "local")


def test_the_project_folder_operator_does_not_shadow_the_standard_library() -> None:
    assert not (ROOT / "operator/__init__.py").exists()
    subprocess.run([sys.executable, "-c", "import operator, collections; operator.eq"], cwd=ROOT, check=True)


def test_all_distributions_have_one_version() -> None:
    versions = {
        tomllib.loads((ROOT / name / "pyproject.toml").read_text())["project"]["version"] for name in DISTRIBUTIONS
    }
    assert len(versions) == 1


@pytest.mark.parametrize("package", ["videojob", "videojob_operator", "videojob_api", "videojob_local"])
def test_only_the_renderer_imports_torch(package: str) -> None:
    # torch takes seconds and gigabytes; the other images do not have it.
    code = (
        f"import importlib, pkgutil, sys, {package} as p\n"
        "for m in pkgutil.walk_packages(p.__path__, p.__name__ + '.'):\n"
        "    if not m.name.endswith('__main__'): importlib.import_module(m.name)\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_no_file_holds_a_merge_conflict_or_a_forgotten_placeholder() -> None:
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    marks = ("<" * 7 + " ", ">" * 7 + " ", "@" * 2 + "DEMO")
    for name in filter(None, files):
        path = ROOT / name
        if path.is_file() and path.suffix in {".py", ".md", ".yaml", ".toml", ".tpl", ""}:
            text = path.read_text(errors="replace")
            assert not any(mark in text for mark in marks), name


def test_every_test_that_the_table_of_failures_names_exists() -> None:
    named = set(re.findall(r"::(test_\w+)", (ROOT / "docs/failures.md").read_text()))
    written = {name for path in (ROOT / "tests").rglob("test_*.py") for name in _TEST.findall(path.read_text())}
    assert named - written == set()
    assert named
