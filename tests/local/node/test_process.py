import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from videojob_local.node import process
from videojob_local.node.command import Command
from videojob_local.node.process import MARK, ChildProcess, birth, kill_marked

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def command(folder: Path, *argv: str) -> Command:
    environment = {"PATH": os.environ["PATH"], MARK: str(folder)}
    return Command(argv, environment, folder, folder / "message")


async def holds(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is in other processes
            await asyncio.sleep(0.02)


@asynccontextmanager
async def shell(folder: Path, script: str) -> AsyncIterator[ChildProcess]:
    child = await ChildProcess.start(command(folder, "/bin/sh", "-c", script), folder / "log")
    try:
        yield child
    finally:
        await child.end(lambda: 0)
        await child.exit_code()


def said(folder: Path, text: str) -> bool:
    return text in (folder / "log").read_text()


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 75", 75), ("kill -9 $$", 137), ("kill -15 $$", 143)]
)
async def test_the_exit_code_is_a_shells(tmp_path: Path, script: str, code: int) -> None:
    async with shell(tmp_path, script) as child:
        assert await child.exit_code() == code


async def test_both_outputs_go_to_the_log(tmp_path: Path) -> None:
    async with shell(tmp_path, "echo out; echo err >&2") as child:
        await child.exit_code()
    assert (tmp_path / "log").read_text().splitlines() == ["out", "err"]


async def test_a_process_that_obeys_sigterm_ends_with_its_own_code(tmp_path: Path) -> None:
    async with shell(tmp_path, "trap 'exit 75' TERM; echo up; while :; do sleep 0.05; done") as child:
        await holds(lambda: said(tmp_path, "up"))
        await child.end(lambda: 20)
        assert await child.exit_code() == 75


async def test_a_process_that_ignores_sigterm_is_killed_after_the_grace_period(tmp_path: Path) -> None:
    async with shell(tmp_path, "trap '' TERM; echo up; while :; do sleep 0.05; done") as child:
        await holds(lambda: said(tmp_path, "up"))
        await child.end(lambda: 0.3)
        assert await child.exit_code() == 137


async def test_a_shortened_grace_period_counts_at_once(tmp_path: Path) -> None:
    grace = 3600.0
    async with shell(tmp_path, "trap '' TERM; echo up; while :; do sleep 0.05; done") as child:
        await holds(lambda: said(tmp_path, "up"))
        ending = asyncio.create_task(child.end(lambda: grace))
        await asyncio.sleep(0)
        grace = 0
        async with asyncio.timeout(20):
            await ending
        assert await child.exit_code() == 137


async def test_only_the_leader_gets_sigterm(tmp_path: Path) -> None:
    encoder = "(trap 'echo encoder hurt' TERM; echo encoding; while :; do sleep 0.05; done) &"
    async with shell(tmp_path, f"{encoder} trap 'sleep 0.3; exit 0' TERM; while :; do sleep 0.05; done") as child:
        await holds(lambda: said(tmp_path, "encoding"))
        await child.end(lambda: 20)
        assert await child.exit_code() == 0
    assert not said(tmp_path, "hurt")


async def test_children_left_behind_end_with_their_leader(tmp_path: Path) -> None:
    async with shell(tmp_path, "sleep 3600 & echo $!") as child:
        await child.exit_code()
    left = int((tmp_path / "log").read_text())
    await holds(lambda: not alive(left))


@needs_proc
async def test_children_that_left_the_session_end_too(tmp_path: Path) -> None:
    script = "import subprocess; print(subprocess.Popen(['sleep', '3600'], start_new_session=True).pid)"
    child = await ChildProcess.start(command(tmp_path, sys.executable, "-c", script), tmp_path / "log")
    assert await child.exit_code() == 0
    await holds(lambda: not alive(int((tmp_path / "log").read_text())))


@needs_proc
async def test_only_processes_of_the_marked_folder_are_killed(tmp_path: Path) -> None:
    async with shell(tmp_path, "sleep 3600") as child:
        assert kill_marked(f"{tmp_path}/other") == 0
        assert kill_marked(f"{tmp_path}\0") >= 1
        assert await child.exit_code() == 137


async def test_a_program_that_does_not_exist_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await ChildProcess.start(command(tmp_path, "/no/such/program"), tmp_path / "log")


async def test_a_process_is_known_by_its_birth(tmp_path: Path) -> None:
    async with shell(tmp_path, "sleep 3600") as child:
        assert birth(child.pid) == birth(child.pid) is not None
        os.kill(child.pid, signal.SIGKILL)
        await child.exit_code()
        assert birth(child.pid) is None


def test_without_proc_no_process_is_found_and_none_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_PROC", tmp_path / "no-proc")
    assert process.kill_marked("/") == 0
    assert process.oom_kills() == ""
    assert process.birth(os.getpid()) is not None


def alive(pid: int) -> bool:
    """Tell whether a process runs (an orphan that nobody reaps yet is dead)."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
