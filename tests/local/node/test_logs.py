from pathlib import Path

import pytest

from videojob_local.node import logs


def offset_of_tail(path: Path, lines: int) -> int:
    with path.open("rb") as file:
        return logs.tail_offset(file, lines)


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"a", b"a\n", b"a\nb", b"a\nb\n", b"\n\n\n", b"x\n" * 100, b"long " * 500]
)
@pytest.mark.parametrize("lines", [0, 1, 2, 3, 1000])
@pytest.mark.parametrize("block_bytes", [1, 7, 65536])
def test_the_tail_is_the_last_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes, lines: int, block_bytes: int
) -> None:
    monkeypatch.setattr(logs, "_BLOCK_BYTES", block_bytes)
    (file := tmp_path / "0.log").write_bytes(text)

    expected = b"".join(text.splitlines(keepends=True)[-lines:]) if lines else b""

    assert text[offset_of_tail(file, lines) :] == expected


def test_the_log_of_the_last_start_and_of_the_one_before(tmp_path: Path) -> None:
    for start in (9, 10):
        (tmp_path / f"{start}.log").touch()
    assert logs.log_file(tmp_path, previous=False) == tmp_path / "10.log"
    assert logs.log_file(tmp_path, previous=True) == tmp_path / "9.log"


def test_a_container_that_started_once_has_no_previous_log(tmp_path: Path) -> None:
    (tmp_path / "0.log").touch()
    assert logs.log_file(tmp_path, previous=True) is None
    assert logs.log_file(tmp_path / "never-started", previous=False) is None
