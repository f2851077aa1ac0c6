"""What the probes say of a loop that hangs and of a watch that nobody renews."""

from http import HTTPStatus

from videojob_operator.health import LONGEST_LAG_SECONDS, LONGEST_SILENCE_SECONDS, Health


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_an_operator_is_alive_before_it_is_ready() -> None:
    health = Health(Clock())
    assert health.answer("/healthz") == (HTTPStatus.OK, "ok")
    assert health.answer("/readyz") == (HTTPStatus.SERVICE_UNAVAILABLE, "starting")
    health.not_ready_because = None
    assert health.answer("/readyz") == (HTTPStatus.OK, "ok")
    health.role = "standby"
    assert health.answer("/readyz") == (HTTPStatus.OK, "standby")
    assert health.answer("/")[0] == HTTPStatus.NOT_FOUND


def test_a_loop_that_hangs_is_ill_until_it_moves_again() -> None:
    clock = Clock()
    health = Health(clock)
    clock.seconds += LONGEST_LAG_SECONDS
    assert health.answer("/healthz") == (HTTPStatus.SERVICE_UNAVAILABLE, "the event loop is stuck")
    health.moved()
    assert health.answer("/healthz")[0] == HTTPStatus.OK


def test_a_watch_that_nobody_renews_is_ill_and_named() -> None:
    clock = Clock()
    health = Health(clock)
    health.watch_tried("jobs in studio")
    health.watch_tried("pods in studio")
    clock.seconds += LONGEST_SILENCE_SECONDS + 1
    health.moved()
    health.watch_tried("jobs in studio")
    assert health.answer("/healthz") == (HTTPStatus.SERVICE_UNAVAILABLE, "no watch of pods in studio")
    health.watch_tried("pods in studio")  # also a try in vain, as in an outage
    assert health.answer("/healthz")[0] == HTTPStatus.OK
