"""Several operators and one Lease: one works, another takes over, and two at once are refused by the Lease itself."""

import signal

import pytest
from cluster import Cluster, Manifest, wait_for
from operator_process import Operator, Start

pytestmark = pytest.mark.cluster

ELECTION = {"VIDEOJOB_LEASE": "videojob-operator", "VIDEOJOB_LEASE_SECONDS": "5"}


@pytest.fixture
def pair(start: Start) -> tuple[Operator, Operator]:
    """A leader and its standby."""
    leader = start(**ELECTION)
    leader.wait_until_ready()
    standby = start(**ELECTION)
    wait_for(standby.stands_by, "the second operator to stand by", seconds=60)
    return leader, standby


def lease(cluster: Cluster) -> Manifest:
    url = cluster.url("videojob-operator", "leases", "apis/coordination.k8s.io/v1")
    found: Manifest = cluster.http.get(url).json()
    return found


def test_a_standby_answers_probes_and_scrapes_and_leaves_the_work_to_the_leader(
    empty_studio: Cluster, pair: tuple[Operator, Operator]
) -> None:
    leader, standby = pair
    assert standby.probe("/healthz") == (200, "ok")
    empty_studio.create("squirrel", spec={"profile": "exit-0"})
    empty_studio.wait_for_phase("squirrel", "Failed")
    wait_for(lambda: leader.metric("videojob_finished_total") == 1, "the count of the leader")
    assert (leader.metric("videojob_operator_leader"), standby.metric("videojob_operator_leader")) == (1, 0)
    assert (standby.metric("videojob_finished_total"), standby.metric("videojob_created_total")) == (0, 0)
    assert leader.metric("videojob_created_total", model="none", profile="exit-0") == 1
    assert leader.metric("videojob_finished_total", outcome="failed", reason="ArtifactMissing") == 1
    assert leader.metric("videojob_jobs", phase="Failed") == 1


def test_sigterm_hands_the_work_over(empty_studio: Cluster, pair: tuple[Operator, Operator]) -> None:
    leader, standby = pair
    assert leader.terminate() == 0
    assert not [line for line in leader.lines() if line["level"] == "error"]
    wait_for(standby.leads, "the standby to lead", seconds=60)
    assert lease(empty_studio)["spec"]["leaseTransitions"] >= 1
    empty_studio.create("squirrel")
    empty_studio.wait_for_phase("squirrel", "Starting")


def test_a_killed_leader_is_replaced_and_nothing_is_done_or_counted_twice(
    empty_studio: Cluster, pair: tuple[Operator, Operator]
) -> None:
    leader, standby = pair
    empty_studio.create("squirrel", spec={"profile": "exit-0"})
    empty_studio.wait_for_phase("squirrel", "Failed")
    job = (empty_studio.job("squirrel") or {})["metadata"]
    leader.process.kill()
    empty_studio.create("panda", spec={"profile": "exit-0"})
    empty_studio.wait_for_phase("panda", "Failed", seconds=90)
    wait_for(lambda: standby.metric("videojob_finished_total") == 1, "the count of the new leader")
    assert standby.metric("videojob_created_total") == 1
    assert (empty_studio.job("squirrel") or {})["metadata"]["resourceVersion"] >= job["resourceVersion"]
    assert len(empty_studio.pods("squirrel")) == 1


def test_a_frozen_leader_ends_as_soon_as_it_sees_that_it_was_replaced(
    empty_studio: Cluster, pair: tuple[Operator, Operator]
) -> None:
    leader, standby = pair
    leader.process.send_signal(signal.SIGSTOP)
    wait_for(standby.leads, "the standby to lead", seconds=60)
    leader.process.send_signal(signal.SIGCONT)
    assert leader.process.wait(timeout=60) == 3
    empty_studio.create("squirrel")
    empty_studio.wait_for_phase("squirrel", "Starting")
    assert standby.leads()


def test_a_standby_ends_on_sigterm(pair: tuple[Operator, Operator]) -> None:
    leader, standby = pair
    assert standby.terminate() == 0
    assert leader.leads()


def test_a_leader_without_an_api_server_rests_and_goes_on_afterwards(
    empty_studio: Cluster, pair: tuple[Operator, Operator]
) -> None:
    leader, standby = pair
    empty_studio.stack.control_plane.stop_api_server()
    try:
        wait_for(lambda: leader.metric("videojob_operator_leader") == 0, "the leader to rest", seconds=60)
        assert leader.probe("/healthz") == (200, "ok")
        wait_for(lambda: standby.probe("/readyz")[0] == 503, "the standby to tell of the outage", seconds=60)
        assert standby.probe("/healthz") == (200, "ok")
    finally:
        empty_studio.stack.control_plane.start_api_server()
    empty_studio.create("squirrel")
    empty_studio.wait_for_phase("squirrel", "Starting", seconds=90)
    assert leader.process.poll() is None or leader.process.poll() == 3  # whoever bid first after the outage leads
    assert sum(operator.leads() for operator in pair) == 1
