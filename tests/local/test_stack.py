"""A stack starts whole or not at all, and leaves nothing behind, whenever it is stopped."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster import wait_for
from leftovers import processes_of

from videojob_local.binaries import Binaries
from videojob_local.errors import FolderInUse, PartFailed
from videojob_local.ports import free_port
from videojob_local.s3 import S3Server
from videojob_local.stack import Stack


@pytest.fixture
def own_stack(binaries: Binaries, tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path / "stack", binaries)
    yield stack
    stack.stop()


@pytest.mark.cluster
def test_a_stopped_stack_leaves_neither_process_nor_file(own_stack: Stack) -> None:
    own_stack.start()
    own_stack.wait_for_node("local")
    assert {part.name for part in own_stack.processes.all()} == {
        *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "s3", "node")
    }
    assert own_stack.control_plane.is_ready()
    assert own_stack.s3.is_ready()
    own_stack.stop()
    assert processes_of(own_stack.folder) == []
    assert not own_stack.folder.exists()


@pytest.mark.cluster
def test_another_command_stops_the_stack_of_one_that_was_killed(own_stack: Stack, binaries: Binaries) -> None:
    script = f"""
from pathlib import Path
from videojob_local.binaries import Binaries
from videojob_local.stack import Stack
Stack(Path({str(own_stack.folder)!r}), Binaries(Path({str(binaries.folder)!r}))).start()
"""
    with subprocess.Popen([sys.executable, "-c", script]) as command:
        wait_for(lambda: any(part.name == "etcd" for part in own_stack.processes.all()), "the start of etcd")
        command.kill()
    own_stack.stop()
    wait_for(lambda: not processes_of(own_stack.folder), "the end of a part that was not recorded yet")
    assert not own_stack.folder.exists()


@pytest.mark.cluster
def test_a_part_that_cannot_start_ends_the_start_with_its_own_words(
    own_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(S3Server, "_command", lambda *_: [sys.executable, "-c", "raise SystemExit('no such disk')"])
    with pytest.raises(PartFailed, match=r"s3 ended by itself; its log ends with:\n  no such disk"):
        own_stack.start()
    own_stack.stop()
    assert processes_of(own_stack.folder) == []


def test_a_folder_that_holds_other_things_is_neither_used_nor_removed(binaries: Binaries, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    stack = Stack(tmp_path, binaries)
    with pytest.raises(FolderInUse, match="holds other files"):
        stack.start()
    stack.stop()
    assert (tmp_path / "thesis.tex").exists()


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return dict(os.environ, VIDEOJOB_STACK_DIR=str(tmp_path / "stack"), PORT=str(free_port()))


@pytest.fixture
def run(binaries: Binaries, environment: dict[str, str]) -> Run:
    """Run a command of the local stack, which has no stack yet."""

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "videojob_local", *arguments]
        return subprocess.run(
            argv, env=environment | settings, capture_output=True, text=True, check=False, timeout=120
        )

    return run


@pytest.mark.parametrize("arguments", [["env"], ["status"], ["logs"]])
def test_commands_that_need_a_stack_say_how_to_start_one(arguments: list[str], run: Run) -> None:
    result = run(*arguments)
    assert result.returncode == 1
    assert result.stderr == "videojob-local: the local stack is not up; start it with `make up`\n"


def test_down_without_a_stack_is_no_error(run: Run) -> None:
    result = run("down")
    assert (result.returncode, result.stdout) == (0, "The stack is not up.\n")


@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_port_in_use_is_one_sentence_before_anything_starts(command: str, run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        result = run(command, PORT=str(port))
    assert result.returncode == 1
    assert result.stderr == (
        f"videojob-local: port {port} (the REST API) is in use by another program; choose another one with "
        f"PORT={port + 1}\n"
    )
    assert not (tmp_path / "stack").exists()


@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_model_that_is_not_in_the_catalogue_is_one_sentence_with_those_that_are(command: str, run: Run) -> None:
    result = run(command, MODEL="CogVideoX-9b")
    assert result.returncode == 1
    assert result.stderr.startswith("videojob-local: there is no model 'CogVideoX-9b'; there are CogVideoX-tiny, ")
    assert "CogVideoX-2b" in result.stderr


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_a_port_that_is_none_is_one_sentence(port: str, run: Run) -> None:
    result = run("up", PORT=port)
    assert result.returncode == 1
    assert result.stderr == f"videojob-local: PORT must be a number from 1 to 65535, not {port!r}\n"


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("command", "moment", "number"),
    [
        ("up", "etcd", signal.SIGINT),
        ("demo", "kube-apiserver", signal.SIGTERM),
        ("up", "kube-scheduler", signal.SIGHUP),
        ("demo", "node", signal.SIGINT),
    ],
)
def test_an_interrupted_start_leaves_nothing_behind(
    command: str, moment: str, number: signal.Signals, binaries: Binaries, environment: dict[str, str], tmp_path: Path
) -> None:
    argv = [sys.executable, "-m", "videojob_local", command]
    folder = tmp_path / "stack"
    with subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True) as process:
        wait_for((folder / f"processes/{moment}.json").exists, f"the start of {moment}", seconds=60)
        process.send_signal(number)
        process.send_signal(signal.SIGINT)  # the impatient second Ctrl-C
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.endswith("videojob-local: interrupted\n")
    assert "Traceback" not in said
    assert processes_of(folder) == []
    assert not folder.exists()


@pytest.mark.cluster
def test_two_commands_do_not_start_one_stack_at_once(run: Run, environment: dict[str, str], tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "videojob_local", "up"]
    with subprocess.Popen(argv, env=environment, stderr=subprocess.DEVNULL) as first:
        wait_for((tmp_path / "stack").exists, "the start of the stack", seconds=60)
        second = run("up")
        first.send_signal(signal.SIGINT)
    assert second.returncode == 1
    assert second.stderr.startswith("videojob-local: another command is starting or stopping the local stack")
