"""When a render counts as one that hangs: by its own pace, never before that is known, and never for being slow."""

import threading

import pytest

from videojob.exits import ExitCode
from videojob.phases import Stage
from videojob.reasons import Reason
from videojob_renderer import watchdog
from videojob_renderer.watchdog import SHORTEST_SECONDS, Pace, Standstill, Watchdog


def steps(pace: Pace, seconds: float, count: int) -> None:
    """Take steps of so many seconds each."""
    for _ in range(count):
        assert pace.pass_time(seconds) is None
        pace.advance()


def test_quick_steps_and_then_none_for_ten_minutes_is_a_standstill() -> None:
    pace = Pace()
    steps(pace, 1.0, 5)
    assert pace.pass_time(SHORTEST_SECONDS) is None
    assert pace.pass_time(1.0) == Standstill(SHORTEST_SECONDS, 1.0)


def test_slow_steps_get_five_times_their_own_time() -> None:
    pace = Pace()
    steps(pace, 1000.0, 4)
    assert pace.pass_time(5000.0) is None
    assert pace.pass_time(1.0) == Standstill(5000.0, 1000.0)


def test_a_step_that_is_done_ends_the_suspicion() -> None:
    pace = Pace()
    steps(pace, 1.0, 5)
    steps(pace, SHORTEST_SECONDS - 1, 3)
    assert pace.pass_time(SHORTEST_SECONDS) is None


@pytest.mark.parametrize("done", range(3))
def test_the_first_steps_may_take_any_time_because_they_may_compile(done: int) -> None:
    pace = Pace()
    steps(pace, 1.0, done)
    assert pace.pass_time(100 * SHORTEST_SECONDS) is None


def test_one_long_first_step_does_not_make_the_pace() -> None:
    pace = Pace()
    steps(pace, 7200.0, 1)
    steps(pace, 1.0, 4)
    assert pace.pass_time(SHORTEST_SECONDS + 1) == Standstill(SHORTEST_SECONDS, 1.0)


def test_a_standstill_is_a_fault_of_the_gpu_so_that_the_next_pod_goes_elsewhere() -> None:
    fault = Standstill(600.0, 1.25).fault(Stage.DENOISING)
    assert (fault.reason, fault.exit_code) == (Reason.GPU_FAULT, ExitCode.GPU_FAULT)
    assert fault.message == ("the GPU hangs in stage Denoising: nothing was done for 600 s, and a part takes 1.2 s")


def test_it_looks_by_itself_while_the_render_waits_and_tells_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "SHORTEST_SECONDS", 0.5)
    told: list[Standstill] = []
    heard = threading.Event()

    def hear(standstill: Standstill) -> None:
        told.append(standstill)
        heard.set()

    watching = Watchdog(hear)
    watching.enter()
    for _ in range(4):
        watching.advance()
    assert heard.wait(120), "the render stands still, and nobody has noticed"
    assert len(told) == 1
