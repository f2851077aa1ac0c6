"""Programs that are run to their end, alone or one into the other."""

import sys
from pathlib import Path

import pytest

from videojob_local.errors import ProgramFailed
from videojob_local.programs import pipe


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def test_one_program_reads_what_another_prints(tmp_path: Path) -> None:
    target = tmp_path / "out"
    pipe(python("print('x' * 10**6)"), python(f"import sys; open({str(target)!r}, 'w').write(sys.stdin.read())"))
    assert target.read_text() == "x" * 10**6 + "\n"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("import sys; sys.exit('told by the first')", "import sys; sys.stdin.read()"),
        ("print('x' * 10**7)", "import sys; sys.exit('told by the second')"),
    ],
)
def test_the_failure_of_either_is_told_in_its_own_words(first: str, second: str) -> None:
    with pytest.raises(ProgramFailed, match=r"told by the (first|second)"):
        pipe(python(first), python(second))


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match="nobody is not on this machine"):
        pipe(python("print('x' * 10**7)"), [tmp_path / "nobody"])
