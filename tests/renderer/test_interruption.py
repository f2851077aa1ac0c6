"""A signal ends the render at once, but never what is held together, and always in time."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from videojob_renderer.errors import Interrupted
from videojob_renderer.interruption import Interruption


@pytest.fixture
def interruption() -> Iterator[Interruption]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    wake_up = signal.set_wakeup_fd(-1)
    installed = Interruption(last_resort_seconds=3600)
    installed.install()
    yield installed
    signal.set_wakeup_fd(wake_up)
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_rises_as_an_exception_that_no_library_catches(interruption: Interruption, number: int) -> None:
    interruption.allow()
    with pytest.raises(Interrupted):
        send(number)
    assert not issubclass(Interrupted, Exception)


def test_before_it_is_allowed_a_signal_waits(interruption: Interruption) -> None:
    send(signal.SIGTERM)
    with pytest.raises(Interrupted):
        interruption.allow()


def test_what_is_held_together_comes_to_its_end(interruption: Interruption) -> None:
    interruption.allow()
    done = []

    def step() -> None:
        with interruption.deferred():
            send(signal.SIGTERM)
            done.append("the step")

    with pytest.raises(Interrupted):
        step()
    assert done == ["the step"]


def test_a_fault_of_what_is_held_together_is_not_hidden(interruption: Interruption) -> None:
    interruption.allow()

    def step() -> None:
        with interruption.deferred():
            send(signal.SIGTERM)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        step()


def test_a_second_signal_does_not_disturb_the_report_of_the_first(interruption: Interruption) -> None:
    interruption.allow()
    with pytest.raises(Interrupted):
        send(signal.SIGTERM)
    send(signal.SIGTERM)


def test_on_its_way_out_the_process_ignores_signals(interruption: Interruption) -> None:
    interruption.allow()
    interruption.ignore()
    send(signal.SIGTERM)
    assert interruption.requested


def test_a_call_that_never_comes_back_is_ended_by_force_with_75() -> None:
    script = """
        import signal, threading
        from videojob_renderer.interruption import Interruption
        interruption = Interruption(last_resort_seconds=0.1)
        interruption.install()
        interruption.allow()
        with interruption.deferred():
            signal.raise_signal(signal.SIGTERM)
            threading.Event().wait()
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, timeout=60)
    assert result.returncode == 75
