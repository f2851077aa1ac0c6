"""Find programs and run them to their end; turn a failure into one sentence with the program's last words."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from videojob_local.errors import ProgramFailed, ToolMissing
from videojob_local.paths import REPOSITORY

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
        words = _last_lines(result.stderr or result.stdout)
        raise ProgramFailed(f"{name} {argv[1] if len(argv) > 1 else ''} failed; it said:\n{words}")
    return result.stdout.strip()


def find_uv() -> Path:
    """Return uv, from PATH or from where the set-up put it.

    Raises:
        ToolMissing: it is in neither.
    """
    found = shutil.which("uv") or shutil.which("uv", path=str(REPOSITORY / ".uv/bin"))
    if not found:
        raise ToolMissing("uv is missing: run `make setup`")
    return Path(found)


def pipe(first: Sequence[str | Path], second: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> None:
    """Run two programs, the second of which reads what the first prints.

    Args:
        first: prints.
        second: reads.
        env: of the first.

    Raises:
        ProgramFailed: one of them ended with another code than 0, or is not there.
    """
    with tempfile.TemporaryFile() as words:
        try:
            with (
                subprocess.Popen(
                    list(map(str, first)), env=None if env is None else dict(env), stdout=subprocess.PIPE, stderr=words
                ) as source,
                subprocess.Popen(
                    list(map(str, second)), stdin=source.stdout, stdout=subprocess.DEVNULL, stderr=words
                ) as sink,
            ):
                if source.stdout:
                    source.stdout.close()  # else the source would not be told that the sink has ended
        except FileNotFoundError as error:
            raise ProgramFailed(f"{Path(error.filename).name} is not on this machine") from None
        words.seek(0)
        if source.returncode or sink.returncode:
            name = Path(first[0] if source.returncode and not sink.returncode else second[0]).name
            raise ProgramFailed(f"{name} failed; it said:\n{_last_lines(words.read().decode(errors='replace'))}")


def _last_lines(text: str) -> str:
    return "\n".join("  " + line for line in text.strip().splitlines()[-_LAST_LINES:])
