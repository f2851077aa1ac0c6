"""Processes of the stack are known by pid and birth, and end as a group."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cluster import wait_for

from videojob_local.errors import PartFailed
from videojob_local.processes import Part, Processes

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
DEAF_WITH_CHILD = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(tmp_path)
    yield processes
    for part in processes.all():
        processes.stop(part.name, grace_seconds=0)


def test_a_started_process_lives_until_it_is_stopped(processes: Processes) -> None:
    part = processes.start("sleeper", SLEEP)
    assert part.is_alive()
    assert processes.all() == [part]
    processes.stop("sleeper", grace_seconds=10)
    assert not part.is_alive()
    assert processes.all() == []


def test_a_later_command_stops_what_an_earlier_one_started(processes: Processes, tmp_path: Path) -> None:
    part = processes.start("sleeper", SLEEP)
    Processes(tmp_path).stop("sleeper", grace_seconds=10)
    assert not part.is_alive()
    processes._children[part.pid].wait()


def test_a_process_that_ignores_sigterm_is_killed_with_its_children(processes: Processes) -> None:
    part = processes.start("deaf", [sys.executable, "-c", DEAF_WITH_CHILD])
    log = processes.log_file("deaf")
    wait_for(log.read_text, "the start of the child")
    child = psutil.Process(int(log.read_text()))
    processes.stop("deaf", grace_seconds=0.2)
    assert not part.is_alive()
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the end of the child")


def test_a_stale_record_never_hits_the_process_that_has_its_pid_now(processes: Processes, tmp_path: Path) -> None:
    stranger = subprocess.Popen(SLEEP)
    record = tmp_path / "processes/sleeper.json"
    record.parent.mkdir()
    record.write_text(json.dumps({"name": "sleeper", "pid": stranger.pid, "birth": "0"}))
    processes.stop("sleeper", grace_seconds=0)
    assert stranger.poll() is None
    assert not record.exists()
    stranger.kill()
    stranger.wait()


def test_a_pid_that_nobody_has_is_not_alive() -> None:
    assert not Part("gone", pid=2**22 + 1, birth=None).is_alive()


def test_a_process_that_ended_by_itself_is_told_with_the_end_of_its_log(processes: Processes) -> None:
    part = processes.start("short", [sys.executable, "-c", "print('no such disk')"])
    wait_for(lambda: not part.is_alive(), "the end of the process")
    with pytest.raises(PartFailed, match=r"short ended by itself.*\n  no such disk"):
        processes.check(part)


def test_nothing_starts_once_the_stack_is_being_stopped(processes: Processes) -> None:
    processes.close()
    with pytest.raises(PartFailed, match="being stopped"):
        processes.start("late", SLEEP)
    assert processes.all() == []
    processes.open()
    assert processes.start("in-time", SLEEP).is_alive()


def test_a_process_whose_command_is_killed_before_it_is_recorded_ends_too(tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from videojob_local.processes import Processes
Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # it happens just before the record is there
Processes(Path({str(tmp_path)!r})).start("sleeper", {SLEEP!r})
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    wait_for(
        lambda: not any(str(tmp_path) in str(each.info["cmdline"]) for each in psutil.process_iter(["cmdline"])),
        "the end of the process that was not recorded",
    )
    assert Processes(tmp_path).all() == []


def test_a_process_leads_a_group_of_its_own(processes: Processes) -> None:
    part = processes.start("sleeper", SLEEP)
    assert os.getpgid(part.pid) == part.pid
