"""What an API server and a network can do to an operator: nothing is lost, nothing is done twice, nobody gives up.

A proxy between the operator and the real API server refuses, cuts and breaks off. An outage of ten minutes differs from
one of some seconds only in how often the same pauses repeat: they grow to ten seconds and stay there, so the tests
take short ones. That the pauses never end is tested with the list of pauses itself.
"""

import sys
import threading
import time
from datetime import datetime, timedelta

import pytest
from cluster import Cluster, wait_for
from faulty_proxy import FaultyProxy, Request
from operator_process import Operator, Start

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

NAMES = ["squirrel", "panda", "otter"]


def create(cluster: Cluster, names: list[str] = NAMES) -> None:
    for name in names:
        cluster.create(name, spec={"profile": "exit-0"})


def assert_each_ran_once(cluster: Cluster, names: list[str] = NAMES) -> None:
    for name in names:
        status = cluster.wait_for_phase(name, "Failed", seconds=300)["status"]
        assert (status["reason"], status["attempts"]) == ("ArtifactMissing", 1)
        assert len(cluster.pods(name)) == 1


@pytest.mark.parametrize(("code", "retry_after"), [(503, None), (429, 1)])
def test_a_storm_of_refusals_is_waited_out(
    empty_studio: Cluster, start: Start, proxy: FaultyProxy, code: int, retry_after: int | None
) -> None:
    operator = start(kubeconfig=proxy.kubeconfig)
    operator.wait_until_ready()
    proxy.refuse, proxy.retry_after = lambda _: code, retry_after
    proxy.cut_watches()
    create(empty_studio)
    wait_for(lambda: operator.metric("videojob_operator_queue_length") >= 0, "the scrape in the storm")
    time.sleep(5)  # the storm
    assert operator.process.poll() is None
    assert operator.probe("/healthz") == (200, "ok")
    proxy.refuse = lambda _: None
    assert_each_ran_once(empty_studio)
    assert operator.process.poll() is None


def test_writes_that_are_refused_now_and_then_are_made_once_each(
    empty_studio: Cluster, start: Start, proxy: FaultyProxy
) -> None:
    """Every second write is refused, and of those that are made every third answer is lost on its way."""
    turn, lock = {"refused": 0, "lost": 0}, threading.Lock()

    def every(kind: str, number: int) -> bool:
        with lock:
            turn[kind] += 1
            return turn[kind] % number == 0

    def lose(request: Request) -> None:
        if request.is_write and every("lost", 3):
            raise ConnectionAbortedError("told by the test")

    proxy.refuse = lambda request: 503 if request.is_write and every("refused", 2) else None
    proxy.after = lose
    operator = start(kubeconfig=proxy.kubeconfig)
    create(empty_studio)
    assert_each_ran_once(empty_studio)
    assert operator.process.poll() is None


def test_a_watch_that_is_cut_goes_on_where_it_was(empty_studio: Cluster, start: Start, proxy: FaultyProxy) -> None:
    operator = start(kubeconfig=proxy.kubeconfig)
    operator.wait_until_ready()
    for name in NAMES:
        proxy.cut_watches()
        create(empty_studio, [name])
        proxy.cut_watches()
    assert_each_ran_once(empty_studio)
    assert operator.process.poll() is None


@pytest.mark.parametrize("code", [410, 500])  # of a compaction, and of an event that cannot be read from etcd
def test_a_watch_that_ends_with_an_error_begins_anew(
    empty_studio: Cluster, start: Start, proxy: FaultyProxy, code: int
) -> None:
    operator = start(kubeconfig=proxy.kubeconfig)
    operator.wait_until_ready()
    for plural in ("videojobs", "jobs", "pods"):
        proxy.poison_watches(plural, code)
    create(empty_studio)
    wait_for(lambda: not proxy.poisoned, "the error event of each watch", seconds=240)
    assert_each_ran_once(empty_studio)
    assert operator.process.poll() is None


def test_what_was_deleted_before_a_watch_begins_anew_is_forgotten(
    empty_studio: Cluster, start: Start, proxy: FaultyProxy
) -> None:
    asked: list[str] = []

    def listen(request: Request) -> None:
        asked.append(request.path)

    proxy.refuse = listen
    operator = start(kubeconfig=proxy.kubeconfig)
    operator.wait_until_ready()
    create(empty_studio, ["squirrel"])
    assert_each_ran_once(empty_studio, ["squirrel"])
    wait_for(lambda: operator.metric("videojob_jobs", phase="Failed") == 1, "the count of a job that failed")
    proxy.refuse = lambda request: 503 if request.plural == "videojobs" else None
    proxy.poison_watches("videojobs", 410)
    empty_studio.delete("squirrel")
    wait_for(lambda: empty_studio.get("squirrel") is None, "the end of the VideoJob")
    proxy.refuse = listen
    wait_for(lambda: operator.metric("videojob_jobs", phase="Failed") == 0, "the operator to forget it", seconds=240)
    assert not any("sendInitialEvents" in path for path in asked), "a watch that begins with what is there"


@pytest.mark.parametrize("hours", [-1, 1])
def test_an_operator_whose_clock_is_an_hour_off_does_the_same(empty_studio: Cluster, start: Start, hours: int) -> None:
    program = (
        "import datetime, time\n"
        f"shift = {hours} * 3600\n"
        "real = time.time\n"
        "time.time = lambda: real() + shift\n"
        "class Skewed(datetime.datetime):\n"
        "    @classmethod\n"
        "    def now(cls, tz=None):\n"
        "        return cls.fromtimestamp(real() + shift, tz)\n"
        "datetime.datetime = Skewed\n"
        "from videojob_operator.__main__ import main\n"
        "main()\n"
    )
    operator = start(
        command=(sys.executable, "-c", program), VIDEOJOB_LEASE="videojob-operator", VIDEOJOB_LEASE_SECONDS="5"
    )
    operator.wait_until_ready()
    create(empty_studio)
    assert_each_ran_once(empty_studio)
    status = (empty_studio.get("squirrel") or {})["status"]
    queued = datetime.fromisoformat(status["queuedTime"])
    for condition in status["conditions"]:
        told = datetime.fromisoformat(condition["lastTransitionTime"])
        assert abs(told - queued) < timedelta(minutes=30), "told by the operator's own clock"
    assert operator.leads()


POINTS = [
    ("POST", "jobs", "before"),
    ("POST", "jobs", "after"),
    ("PATCH", "videojobs", "before"),
    ("PATCH", "videojobs", "after"),
    ("POST", "events", "before"),
]


@pytest.mark.parametrize(("method", "plural", "moment"), POINTS)
def test_an_operator_killed_at_any_write_loses_nothing_and_does_nothing_twice(
    empty_studio: Cluster, start: Start, proxy: FaultyProxy, method: str, plural: str, moment: str
) -> None:
    """Killed just before the API server sees a write, or after it was carried out and before its answer is read."""
    operators: list[Operator] = []

    def kill(request: Request) -> int | None:
        if (request.method, request.plural) == (method, plural) and operators[0].process.poll() is None:
            operators[0].process.kill()
            operators[0].process.wait(timeout=10)
            return 503
        return None

    operators.append(start(kubeconfig=proxy.kubeconfig))
    operators[0].wait_until_ready()
    if moment == "before":
        proxy.refuse = kill
    else:
        proxy.after = kill
    create(empty_studio, ["squirrel"])
    wait_for(lambda: operators[0].process.poll() is not None, "the death of the first operator", seconds=240)
    proxy.refuse, proxy.after = (lambda _: None), (lambda _: None)
    start(kubeconfig=proxy.kubeconfig)
    assert_each_ran_once(empty_studio, ["squirrel"])
    assert proxy.served["POST", "jobs"] == 1


STOPS = [
    ("DELETE", {"cancel": True}, "Cancelled"),
    ("PATCH", {"suspend": True}, "Queued"),
]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(("method", "spec", "phase"), STOPS)
def test_an_operator_killed_while_it_stops_a_job_frees_the_gpu_afterwards(
    empty_studio: Cluster,
    start: Start,
    proxy: FaultyProxy,
    method: str,
    spec: dict[str, bool],
    phase: str,
    moment: str,
) -> None:
    first = start(kubeconfig=proxy.kubeconfig)
    first.wait_until_ready()
    empty_studio.create("squirrel")
    empty_studio.wait_for_phase("squirrel", "Starting")

    def kill(request: Request) -> int | None:
        if (request.method, request.plural) == (method, "jobs") and first.process.poll() is None:
            first.process.kill()
            first.process.wait(timeout=10)
            return 503
        return None

    if moment == "before":
        proxy.refuse = kill
    else:
        proxy.after = kill
    empty_studio.patch("squirrel", {"spec": spec})
    wait_for(lambda: first.process.poll() is not None, "the death of the first operator", seconds=240)
    proxy.refuse, proxy.after = (lambda _: None), (lambda _: None)
    start(kubeconfig=proxy.kubeconfig)
    empty_studio.wait_for_phase("squirrel", phase, seconds=240)
    wait_for(lambda: not empty_studio.pods("squirrel"), "the end of the pod", seconds=240)
    assert proxy.served[method, "jobs"] == 1
