"""The commands of docs/backup.md, run word for word."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def commands(section: str) -> str:
    """Return the shell commands below a heading of the page."""
    page = (ROOT / "docs/backup.md").read_text()
    block = re.search(rf"^##+ {section}$.*?^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert block, section
    return block[1]


def paste(
    script: str, folder: Path, environment: Mapping[str, str], programs: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run commands in a folder as a reader pastes them into a shell, which goes on after one that fails.

    Args:
        script: the commands.
        folder: where.
        environment: variables that the page tells the reader to set.
        programs: a folder that is on PATH besides the system's.
    """
    path = os.pathsep.join([*([str(programs)] if programs else []), "/usr/bin", "/bin"])
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def run_commands(script: str, folder: Path, environment: Mapping[str, str], programs: Path | None = None) -> None:
    """Run commands of which none may fail; for the arguments see `paste`."""
    result = paste(f"set -eu\n{script}", folder, environment, programs)
    assert result.returncode == 0, result.stderr
