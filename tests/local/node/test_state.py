import os
import subprocess
import sys
from pathlib import Path

import pytest

from videojob_local.node import process
from videojob_local.node.errors import StateInUse
from videojob_local.node.process import MARK
from videojob_local.node.state import StateFolder


def orphan(folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True)
    return subprocess.Popen(["sleep", "3600"], start_new_session=True, env={**os.environ, MARK: str(folder)})


def test_a_second_agent_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with StateFolder(tmp_path), pytest.raises(StateInUse, match="another process node"):
        StateFolder(tmp_path)
    StateFolder(tmp_path).__exit__()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_processes_of_a_killed_agent_are_ended(tmp_path: Path) -> None:
    with StateFolder(tmp_path) as state:
        left = orphan(state.folder("u-1"))
        assert state.end_orphans() == 1
        assert left.wait(20) == -9


def test_recorded_processes_are_ended_also_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_PROC", tmp_path / "no-proc")
    with StateFolder(tmp_path) as state:
        left = orphan(state.folder("u-1"))
        state.remember(state.folder("u-1"), left.pid)
        assert state.remembers(state.folder("u-1"))
        assert state.end_orphans() == 1
        assert left.wait(20) == -9


def test_a_process_that_came_into_a_recorded_pid_is_spared(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "3600"], start_new_session=True)
    try:
        with StateFolder(tmp_path) as state:
            folder = state.folder("u-1")
            folder.mkdir()
            (folder / "process.json").write_text(f'{{"pid": {stranger.pid}, "birth": "long ago"}}')
            (state.folder("u-2")).mkdir()
            (state.folder("u-2") / "process.json").write_text('{"pid": 1')
            assert state.end_orphans() == 0
            assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(20)


def test_folders_of_pods_that_are_gone_are_removed(tmp_path: Path) -> None:
    with StateFolder(tmp_path) as state:
        for uid in ("kept", "gone"):
            state.folder(uid).mkdir()
        state.keep_only({"kept"})
        assert [path.name for path in state.pods.iterdir()] == ["kept"]
