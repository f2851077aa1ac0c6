from pathlib import Path
from typing import Any

from videojob_local.node.pod_run import ContainerRecord, Ending, PodRun
from videojob_local.node.status import (
    condition_list,
    container_status,
    ended_unseen,
    updated_conditions,
    wanted_conditions,
)

CONTAINER = {"name": "main", "image": "videojob-renderer:1"}
DISRUPTED = Ending("AgentRestarted", "the node restarted", disruption=True)


def entry(*, ready: bool = False, **state: Any) -> dict[str, Any]:
    return {"ready": ready, "state": state}


def test_a_container_that_never_started_waits_without_an_id() -> None:
    status = container_status(CONTAINER, ContainerRecord())
    assert status["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert status["imageID"] == status["containerID"] == ""


def test_an_end_that_nobody_saw_is_told_as_the_kubelet_does() -> None:
    terminated = ended_unseen(DISRUPTED, "t0", "t1")["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (137, "ContainerStatusUnknown")
    assert terminated["message"] == "the node restarted"


def test_ready_follows_the_main_container_and_initialized_the_init_containers() -> None:
    done, failed = entry(terminated={"exitCode": 0}), entry(terminated={"exitCode": 1})
    running = entry(ready=True, running={})
    assert wanted_conditions(running, [done, done], None) == {
        "Initialized": True,
        "Ready": True,
        "ContainersReady": True,
    }
    assert wanted_conditions(running, [done, failed], None)["Initialized"] is False


def test_a_disruption_is_told_and_a_fault_is_not() -> None:
    assert wanted_conditions(entry(), [], DISRUPTED)["DisruptionTarget"] is True
    assert "DisruptionTarget" not in wanted_conditions(entry(), [], Ending("DeadlineExceeded", "", fails=True))


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    first = updated_conditions({}, {"Ready": False, "Initialized": True}, "t0")
    second = updated_conditions(first, {"Ready": True, "Initialized": True}, "t1")
    assert second == {"Ready": (True, "t1"), "Initialized": (True, "t0")}


def test_conditions_say_why_they_are_false() -> None:
    known = {"Ready": (False, "t0"), "Initialized": (True, "t0"), "DisruptionTarget": (True, "t0")}
    ready, initialized, disrupted = condition_list(known, "Failed", DISRUPTED, 1)
    assert ready["reason"] == "PodFailed"
    assert "reason" not in initialized
    assert (disrupted["reason"], disrupted["message"]) == ("TerminationByKubelet", "the node restarted")


def test_the_grace_period_of_a_deletion_counts_and_a_later_one_may_shorten_it() -> None:
    pod: dict[str, Any] = {"metadata": {}, "spec": {"terminationGracePeriodSeconds": 120}}
    run = PodRun(pod, Path("/none"))
    assert run.grace_seconds() == 120
    run.pod = {**pod, "metadata": {"deletionGracePeriodSeconds": 5}}
    assert run.grace_seconds() == 5
    run.longest_grace_seconds = 2
    assert run.grace_seconds() == 2
    run.object_gone = True
    assert run.grace_seconds() == 0


def test_the_first_reason_to_end_stays() -> None:
    run = PodRun({}, Path("/none"))
    run.end(DISRUPTED)
    run.end(Ending("NodeShutdown", ""))
    assert run.ending == DISRUPTED
    assert run.stop.is_set()
