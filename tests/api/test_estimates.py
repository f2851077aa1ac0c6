"""How long a job will still take, from what renders like it took."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from videojob_api.cache import Cache
from videojob_api.estimates import eta_of_running, eta_of_waiting
from videojob_api.standing import Standing, standing_of

NOW = datetime(2025, 9, 14, 12, 0, tzinfo=UTC)
RESOLVED = {"model": "CogVideoX-2b", "width": 720, "height": 480, "numFrames": 49, "steps": 50}


def at(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_job(name: str, age_seconds: float, phase: str, *, resolved: dict[str, Any] = RESOLVED, **more: Any) -> Any:
    meta = {"name": name, "uid": f"uid-of-{name}", "resourceVersion": "1", "creationTimestamp": at(-age_seconds)}
    status = {"phase": phase, "resolved": resolved, **more}
    return {"metadata": meta, "spec": {"request": {"prompt": "a", "model": resolved["model"]}}, "status": status}


def rendered(name: str, seconds: float, **more: Any) -> Any:
    return a_job(name, 900, "Succeeded", startTime=at(-600), completionTime=at(-600 + seconds), **more)


def standing(name: str, *jobs: Any) -> Standing:
    """Where one of these jobs stands."""
    cache = Cache()
    for job in jobs:
        cache.absorb(job)
    record = cache.get(name)
    assert record
    return standing_of(record, cache, NOW)


def test_without_any_earlier_render_there_is_a_place_but_no_time() -> None:
    assert standing("b", a_job("a", 20, "Pending"), a_job("b", 10, "Pending")) == Standing(2, None)


def test_the_line_moves_with_the_pace_of_the_running_jobs() -> None:
    earlier = [rendered("x", 100), rendered("y", 120), rendered("z", 900)]
    running = [a_job("r1", 60, "Running"), a_job("r2", 50, "Starting")]
    waiting = [a_job("a", 20, "Pending"), a_job("b", 10, "Pending")]
    # A render takes 120 s (the median), two run at once: the second in line begins after 120 s and ends after 240 s.
    assert standing("b", *earlier, *running, *waiting) == Standing(2, 240)


def test_a_line_that_does_not_move_has_no_time() -> None:
    assert standing("b", rendered("x", 100), a_job("a", 20, "Pending"), a_job("b", 10, "Pending")) == Standing(2, None)


def test_the_only_one_begins_at_once() -> None:
    assert standing("a", rendered("x", 100), a_job("a", 20, "Pending")) == Standing(1, 100)


@pytest.mark.parametrize("change", [{"width": 64}, {"numFrames": 9}, {"model": "CogVideoX-5b"}])
def test_renders_of_another_shape_say_nothing(change: dict[str, Any]) -> None:
    assert standing("a", rendered("x", 100, resolved=RESOLVED | change), a_job("a", 9, "Pending")) == Standing(1, None)


def test_half_the_steps_take_half_the_time() -> None:
    job = a_job("a", 9, "Pending", resolved=RESOLVED | {"steps": 25})
    assert standing("a", rendered("x", 100), job) == Standing(1, 50)


def test_a_failed_render_is_no_measure() -> None:
    failed = a_job("x", 900, "Failed", startTime=at(-600), completionTime=at(-599))
    assert standing("a", failed, a_job("a", 9, "Pending")) == Standing(1, None)


def test_what_the_renderer_says_counts_from_when_it_said_so() -> None:
    progress = {"etaSeconds": 30, "updatedTime": at(-10), "podName": "p", "percent": 50, "stage": "Denoising"}
    job = a_job("a", 60, "Running", startTime=at(-50), podName="p", progress=progress)
    assert standing("a", rendered("x", 100), job) == Standing(None, 20)


def test_a_clock_of_the_renderer_that_runs_ahead_adds_nothing() -> None:
    assert eta_of_running(30, NOW + timedelta(hours=1), None, None, NOW) == 30


def test_a_render_that_takes_longer_than_others_has_no_time_until_it_tells_one() -> None:
    assert eta_of_running(None, None, 5.0, NOW - timedelta(seconds=9), NOW) is None


def test_what_an_earlier_attempt_said_counts_no_more() -> None:
    progress = {"etaSeconds": 3, "updatedTime": at(-10), "podName": "old", "percent": 50, "stage": "Denoising"}
    job = a_job("a", 60, "Running", startTime=at(-40), podName="new", progress=progress)
    assert standing("a", rendered("x", 100), job) == Standing(None, 60)


def test_a_job_that_has_ended_stands_nowhere() -> None:
    assert standing("x", rendered("x", 100)) == Standing()


def test_an_estimate_is_never_below_zero() -> None:
    assert eta_of_running(5, NOW - timedelta(seconds=9), None, None, NOW) == 0
    assert eta_of_running(None, None, None, NOW, NOW) is None
    assert eta_of_waiting(0, 0, 7.4) == 7
