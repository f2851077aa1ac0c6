"""Progress never runs backwards, and the estimate follows the pace."""

from datetime import UTC, datetime

from videojob.phases import Stage
from videojob_renderer.progress import ProgressMeter, percent_of

NOW = datetime(2025, 9, 14, tzinfo=UTC)


def test_the_percentage_never_runs_backwards_through_all_stages() -> None:
    seen = [percent_of(stage, done, 50) for stage in Stage for done in range(51)]
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == 99, "100 is for the committed result"


def test_steps_and_estimate_follow_the_denoising() -> None:
    meter = ProgressMeter("squirrel-x7k2p", steps=10)
    assert meter.enter(Stage.LOADING, seconds=0, now=NOW).step is None
    started = meter.enter(Stage.DENOISING, seconds=100, now=NOW)
    assert (started.step, started.steps, started.eta_seconds) == (0, 10, None)
    half = meter.advance(5, 10, seconds=141.5, now=NOW)  # 41.5 s for 41.5 percent: a second each
    assert (half.step, half.percent, half.eta_seconds) == (5, 48, 52)


def test_the_estimate_of_a_resumed_render_goes_by_its_own_steps_only() -> None:
    meter = ProgressMeter("squirrel-x7k2p", steps=10)
    started = meter.enter(Stage.DENOISING, 5, 10, seconds=100, now=NOW)
    assert (started.step, started.percent, started.eta_seconds) == (5, 48, None)
    next_one = meter.advance(6, 10, seconds=108.3, now=NOW)  # 8.3 s for 8.3 percent: a second each
    assert (next_one.step, next_one.percent, next_one.eta_seconds) == (6, 56, 44)


def test_the_end_says_a_hundred_percent() -> None:
    meter = ProgressMeter("squirrel-x7k2p", steps=10)
    meter.enter(Stage.UPLOADING, seconds=0, now=NOW)
    end = meter.committed(NOW)
    assert (end.percent, end.eta_seconds, end.pod_name) == (100, 0, "squirrel-x7k2p")
