"""A ballot by clocks of one's own: others' clocks may show any time at all."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojob_operator.lease import Ballot, Terms
from videojob_operator.manifests import Manifest

TERMS = Terms.of(15)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def held_by(other: Ballot, now: datetime) -> Manifest:
    return {"metadata": {"name": "lease", "resourceVersion": "7"}, "spec": other.claim(now) | {"leaseTransitions": 4}}


@pytest.mark.parametrize("skew", [timedelta(hours=-1), timedelta(), timedelta(hours=1)])
def test_a_lease_that_is_renewed_is_never_taken_whatever_the_holders_clock_shows(skew: timedelta) -> None:
    holder, candidate = Ballot("a", TERMS), Ballot("b", TERMS)
    for second in range(0, 120, 10):
        renewed = held_by(holder, NOW + skew + timedelta(seconds=second))
        assert candidate.bid(renewed, 1000.0 + second, NOW) is None


@pytest.mark.parametrize("skew", [timedelta(hours=-1), timedelta(), timedelta(hours=1)])
def test_a_lease_that_does_not_change_is_taken_after_its_time(skew: timedelta) -> None:
    left, candidate = held_by(Ballot("a", TERMS), NOW + skew), Ballot("b", TERMS)
    assert candidate.bid(left, 1000.0, NOW) is None
    assert candidate.bid(left, 1014.9, NOW) is None
    taken = candidate.bid(left, 1015.0, NOW)
    assert taken
    assert (taken["spec"]["holderIdentity"], taken["spec"]["leaseTransitions"]) == ("b", 5)
    assert taken["metadata"]["resourceVersion"] == "7"  # the write loses against any other since


def test_a_released_lease_is_taken_at_once() -> None:
    released = held_by(Ballot("a", TERMS), NOW)
    released["spec"]["holderIdentity"] = ""
    assert Ballot("b", TERMS).bid(released, 0.0, NOW)


def test_a_renewal_is_no_transition() -> None:
    mine = Ballot("a", TERMS)
    renewed = mine.bid(held_by(mine, NOW), 0.0, NOW + timedelta(seconds=2))
    assert renewed
    assert renewed["spec"]["leaseTransitions"] == 4
    assert renewed["spec"]["renewTime"] == "2026-01-01T00:00:02.000000Z"


def test_a_lease_without_a_spec_is_free() -> None:
    assert Ballot("a", TERMS).bid({"metadata": {}}, 0.0, NOW)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0.1, 30)), max_size=40))
def test_a_lease_is_taken_over_only_after_its_holder_s_deadline(moves: list[tuple[str, float]]) -> None:
    """A holder looks at its clock between two tries only, so it may rest some seconds after the other has begun.

    Until then its writes verify themselves, as those of two operators without a Lease do.
    """
    ballots = {name: Ballot(name, TERMS) for name in "ab"}
    lease: Manifest = {"metadata": {}, "spec": {}}
    renewed_at = dict.fromkeys("ab", -1e9)
    clock = 0.0
    for name, pause in moves:
        clock += pause
        other = "b" if name == "a" else "a"
        bid = ballots[name].bid(lease, clock, NOW + timedelta(seconds=clock))
        if bid:
            assert clock - renewed_at[other] >= TERMS.renew_deadline_seconds
            lease, renewed_at[name] = bid, clock
