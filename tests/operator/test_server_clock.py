"""Deadlines go by the API server's clock, however wrong this machine's is."""

from datetime import UTC, datetime, timedelta

import pytest

from videojob_operator.server_clock import ServerClock

TRUE = datetime(2025, 9, 14, 12, 0, 0, tzinfo=UTC)
HEADER = "Sun, 14 Sep 2025 12:00:00 GMT"


@pytest.mark.parametrize("skew", [timedelta(hours=1), timedelta(hours=-1), timedelta()])
def test_a_wrong_local_clock_is_corrected_by_the_first_answer(skew: timedelta) -> None:
    clock = ServerClock(lambda: TRUE + skew)
    clock.hear(HEADER)
    assert clock.now() == TRUE


def test_the_local_clock_counts_until_the_server_has_answered_and_where_its_header_says_nothing() -> None:
    clock = ServerClock(lambda: TRUE)
    for header in (None, "", "yesterday"):
        clock.hear(header)
    assert clock.now() == TRUE


def test_the_whole_seconds_of_the_header_do_not_make_the_clock_jump() -> None:
    moments = iter([TRUE + timedelta(milliseconds=900), TRUE + timedelta(milliseconds=950)])
    clock = ServerClock(lambda: next(moments))
    clock.hear(HEADER)
    assert clock.now() == TRUE + timedelta(milliseconds=950)


def test_a_local_clock_that_is_set_right_while_the_operator_runs_is_followed() -> None:
    local = [TRUE + timedelta(hours=1)]
    clock = ServerClock(lambda: local[0])
    clock.hear(HEADER)
    local[0] = TRUE
    clock.hear(HEADER)
    assert clock.now() == TRUE
