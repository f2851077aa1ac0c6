"""Run a program to its end, and turn its failure into one sentence with its last words."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from videojob_local.errors import ProgramFailed

_LAST_LINES = 15


def output_of(
    argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: str = ""
) -> str:
    """Return what a program prints.

    Raises:
        ProgramFailed: it ended with another code than 0, or is not there.
    """
    name = Path(argv[0]).name
    try:
        result = subprocess.run(
            list(map(str, argv)),
            env=None if env is None else dict(env),
            cwd=cwd,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise ProgramFailed(f"{name} is not on this machine") from None
    if result.returncode:
        words = "\n".join("  " + line for line in (result.stderr or result.stdout).strip().splitlines()[-_LAST_LINES:])
        raise ProgramFailed(f"{name} {argv[1] if len(argv) > 1 else ''} failed; it said:\n{words}")
    return result.stdout.strip()
