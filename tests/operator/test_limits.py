"""Each limit has its moment, by the API server's clock, and passes once."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.operator import worlds as w
from tests.operator.worlds import JOB_UID, NOW, SETTINGS, Manifest, ended, job, observed, pod, video_job

from videojob_operator.evidence import NOTHING_WANTED, wanted_evidence
from videojob_operator.job import QUEUE_LABEL
from videojob_operator.manifests import timestamp
from videojob_operator.observed import Observed
from videojob_operator.reconcile import (
    Action,
    CreateJob,
    DeleteJob,
    DeleteVideoJob,
    EndJob,
    FailPod,
    SetStatus,
    SuspendJob,
    reconcile,
)
from videojob_operator.settings import Settings

CREATED = NOW - timedelta(minutes=10, seconds=30)  # of every VideoJob in these worlds


def decide(world: Observed, after: timedelta, *, fail_lost_pods: bool = False) -> tuple[tuple[Action, ...], Manifest]:
    """Return the actions that far after the creation, and the status that is written."""
    settings = w.SETTINGS if not fail_lost_pods else _failing_lost_pods()
    actions = reconcile(world, settings, CREATED + after).actions
    return actions, next((action.fields for action in actions if isinstance(action, SetStatus)), {})


def _failing_lost_pods() -> Settings:
    return replace(SETTINGS, fail_lost_pods=True)


def test_a_job_without_a_running_pod_is_given_up_at_its_start_deadline_and_not_before() -> None:
    world = observed(video_job(startDeadlineSeconds=60), job(), pod(node=None))
    early = reconcile(world, SETTINGS, CREATED + timedelta(seconds=59))
    assert early.requeue_after_seconds == 1.0
    assert not [action for action in early.actions if isinstance(action, DeleteJob)]
    actions, status = decide(world, timedelta(seconds=60))
    assert (status["phase"], status["reason"]) == ("Failed", "StartDeadlineExceeded")
    assert actions[-1] == DeleteJob(JOB_UID)


@pytest.mark.parametrize(
    "world",
    [
        observed(video_job(startDeadlineSeconds=60), job(), pod(phase="Running", state=w.RUNNING)),
        observed(video_job(startDeadlineSeconds=60, suspend=True), job(suspend=True)),
        # a second pod: the first was there in time
        observed(
            video_job(startDeadlineSeconds=60, status={"attempts": 1, "podName": "squirrel-first"}),
            job(),
            pod(node=None),
        ),
    ],
)
def test_a_job_that_has_begun_or_is_held_has_no_start_deadline(world: Observed) -> None:
    assert decide(world, timedelta(days=1))[1]["phase"] != "Failed"


def test_after_a_suspension_the_start_deadline_begins_anew() -> None:
    resumed = job()
    resumed["status"]["startTime"] = timestamp(CREATED + timedelta(minutes=5))
    world = observed(video_job(startDeadlineSeconds=60), resumed, pod(node=None))
    assert decide(world, timedelta(minutes=5, seconds=59))[1]["phase"] == "Pending"
    assert decide(world, timedelta(minutes=6))[1]["phase"] == "Failed"


@pytest.mark.parametrize(
    "world",
    [
        # the Job never had a pod, so it has no startTime; this look lets it go on
        observed(video_job(startDeadlineSeconds=60), job(suspend=True, Suspended="JobSuspended")),
        # it goes on, and the Job controller has not seen it yet
        observed(video_job(startDeadlineSeconds=60), job(Suspended="JobSuspended")),
        # held in a queue it has no Job; this look makes it
        observed(video_job(startDeadlineSeconds=60, status={"phase": "Queued"}, labels={QUEUE_LABEL: "gpu"})),
    ],
)
def test_a_job_that_is_resumed_after_its_start_deadline_goes_on(world: Observed) -> None:
    actions, status = decide(world, timedelta(hours=2))
    assert status["phase"] != "Failed"
    assert not [action for action in actions if isinstance(action, DeleteJob)]


def test_the_start_deadline_of_a_job_in_a_queue_counts_from_its_job() -> None:
    made_later = job(suspend=True, Suspended="JobSuspended")
    made_later["metadata"]["labels"][QUEUE_LABEL] = "gpu"
    made_later["metadata"]["creationTimestamp"] = timestamp(CREATED + timedelta(hours=2))
    world = observed(video_job(startDeadlineSeconds=60, labels={QUEUE_LABEL: "gpu"}), made_later)
    assert decide(world, timedelta(hours=2, seconds=59))[1]["phase"] == "Queued"
    assert decide(world, timedelta(hours=2, seconds=60))[1]["reason"] == "StartDeadlineExceeded"


def test_a_run_that_the_kubelet_ended_for_its_deadline_ends_the_job_and_keeps_the_pod() -> None:
    over = pod(phase="Failed", state=ended(75))
    over["status"]["reason"] = "DeadlineExceeded"
    actions, status = decide(observed(None, job(), over), timedelta(minutes=1))
    assert status["reason"] == "DeadlineExceeded"
    assert actions[-1] == EndJob(JOB_UID)


def test_a_verdict_of_ours_is_carried_out_by_the_next_operator_too() -> None:
    failed = video_job(status={"phase": "Failed", "reason": "StartDeadlineExceeded"})
    assert decide(observed(failed, job(), pod(node=None)), timedelta())[0] == (DeleteJob(JOB_UID),)
    assert decide(observed(failed, job(Failed="DeadlineExceeded")), timedelta())[0] == ()


def done(**spec: int | dict[str, str]) -> Manifest:
    condition = {"type": "Succeeded", "status": "True", "lastTransitionTime": timestamp(CREATED)}
    # completionTime is a node's clock, here a day ahead; the condition is the API server's
    status = {"phase": "Succeeded", "conditions": [condition], "completionTime": "2025-09-15T12:00:00Z"}
    return video_job(status=status, ttlSecondsAfterFinished=60, **spec)


def test_a_finished_videojob_is_deleted_when_its_time_to_live_is_over_and_not_before() -> None:
    early = reconcile(observed(done()), SETTINGS, CREATED + timedelta(seconds=20))
    assert (early.actions, early.requeue_after_seconds) == ((), 40.0)
    assert decide(observed(done()), timedelta(seconds=60))[0] == (DeleteVideoJob(w.UID),)


def test_a_videojob_is_not_deleted_before_its_webhook_was_told_or_given_up() -> None:
    waiting = done(webhook={"url": "https://example.com"})
    assert decide(observed(waiting), timedelta(hours=24))[0] == ()
    assert decide(observed(waiting), timedelta(hours=26))[0] == (DeleteVideoJob(w.UID),)
    waiting["status"]["conditions"].append({"type": "Notified", "status": "True"})
    assert decide(observed(waiting), timedelta(hours=1))[0] == (DeleteVideoJob(w.UID),)


def lost() -> Manifest:
    hanging = pod(phase="Running", state=w.RUNNING)
    hanging["metadata"]["deletionTimestamp"] = timestamp(CREATED)
    return hanging


def test_a_pod_that_never_ends_is_told_of_and_declared_failed_only_where_that_is_wanted() -> None:
    world = observed(None, job(), lost())
    assert decide(world, timedelta(seconds=119))[1]["reason"] != "NodeLost"
    actions, status = decide(world, timedelta(seconds=120))
    assert (status["phase"], status["reason"]) == ("Pending", "NodeLost")
    assert "kubectl delete node gpu-1" in status["hint"]
    assert not [action for action in actions if isinstance(action, FailPod)]
    actions, _ = decide(world, timedelta(seconds=120), fail_lost_pods=True)
    assert actions[-1] == FailPod(w.POD, f"uid-of-{w.POD}")


def test_what_is_free_of_charge_is_not_without_end() -> None:
    interrupted = pod(phase="Failed", state=ended(75))
    many = video_job(status={"attempts": 21, "podName": w.POD})
    actions, status = decide(observed(many, job(), interrupted), timedelta())
    assert status["reason"] == "TooManyInterruptions"
    assert actions[-1] == EndJob(JOB_UID)
    assert (
        decide(observed(video_job(status={"attempts": 20, "podName": w.POD}), job(), interrupted), timedelta())[1][
            "phase"
        ]
        == "Pending"
    )


def test_after_a_gpu_fault_the_job_makes_room_for_one_that_avoids_the_node() -> None:
    actions, status = decide(observed(None, job(), pod(phase="Failed", state=ended(70))), timedelta())
    assert (status["avoidedNodes"], status["failures"], status["phase"]) == (["gpu-1"], 1, "Pending")
    assert actions[-1] == DeleteJob(JOB_UID)
    last = observed(video_job(backoffLimit=0), job(), pod(phase="Failed", state=ended(70)))
    assert not [action for action in decide(last, timedelta())[0] if isinstance(action, DeleteJob)]


def test_only_what_the_watched_objects_leave_open_is_looked_up() -> None:
    assert wanted_evidence(observed(None, job(), pod(phase="Running", state=w.RUNNING)), NOW) == NOTHING_WANTED
    assert wanted_evidence(observed(done(), job()), NOW) == NOTHING_WANTED
    assert wanted_evidence(Observed(None, job()), NOW) == NOTHING_WANTED
    fresh = job()
    fresh["metadata"]["creationTimestamp"] = timestamp(NOW)
    assert wanted_evidence(observed(None, fresh), NOW).events_of is None
    assert wanted_evidence(observed(None, fresh), NOW + timedelta(seconds=6)).events_of == JOB_UID
    assert wanted_evidence(observed(None, fresh), NOW + timedelta(days=1)).again_seconds == 300.0


def former(**changes: str) -> Manifest:
    """Return a pod that runs, of a Job that was deleted."""
    orphan = pod(phase="Running", state=w.RUNNING)
    orphan["metadata"] |= {"ownerReferences": [{"uid": "uid-of-former-job", "controller": True}], **changes}
    return orphan


BEGUN = {"phase": "Running", "jobName": "squirrel", "attempts": 1, "podName": w.POD}


def test_no_pod_follows_before_the_pod_of_a_deleted_job_has_ended() -> None:
    going = former(deletionTimestamp=timestamp(CREATED + timedelta(minutes=2)))
    world = observed(video_job(status=BEGUN), None, going)
    waiting = reconcile(world, SETTINGS, CREATED + timedelta(minutes=1))
    assert [type(action) for action in waiting.actions] == [SetStatus]
    (told,) = waiting.actions
    assert isinstance(told, SetStatus)
    assert (told.fields["phase"], told.fields["reason"]) == ("Pending", "Retrying")
    assert told.fields["message"] == f"another pod follows once {w.POD} has ended, whose Job is gone"
    assert "hint" not in told.fields, "it ends by itself"
    assert waiting.requeue_after_seconds == 180.0
    going["status"] |= {"phase": "Failed", "containerStatuses": [{"name": "renderer", "state": ended(75)}]}
    assert isinstance(reconcile(world, SETTINGS, CREATED + timedelta(minutes=1)).actions[0], CreateJob)


def test_a_pod_of_a_deleted_job_on_a_node_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    world = observed(video_job(status=BEGUN), None, former(deletionTimestamp=timestamp(CREATED)))
    assert not any(isinstance(action, CreateJob) for action in decide(world, timedelta(seconds=119))[0])
    assert isinstance(decide(world, timedelta(seconds=120))[0][0], CreateJob)


def test_a_pod_that_outlives_its_job_on_purpose_is_waited_for_with_a_hint() -> None:
    _, status = decide(observed(video_job(status=BEGUN), None, former()), timedelta(hours=3))
    assert status["hint"] == f"it goes on by itself; to begin anew at once: kubectl delete pod {w.POD}"


def test_the_pod_of_a_videojob_that_had_the_name_before_is_not_waited_for() -> None:
    stranger = former()
    stranger["metadata"]["labels"] = stranger["metadata"]["labels"] | {"videojob.dev/uid": "another"}
    assert isinstance(decide(observed(None, None, stranger), timedelta())[0][0], CreateJob)


def test_a_pod_that_a_suspension_stops_is_no_interruption() -> None:
    running = video_job(status=BEGUN, suspend=True)
    actions, status = decide(observed(running, _uninterruptible(), pod(phase="Running", state=w.RUNNING)), timedelta())
    assert actions[-1] == SuspendJob(JOB_UID, suspend=True)
    assert status["forgivenInterruptions"] == 1
    stopped = pod(phase="Failed", state=ended(75))
    suspended = _uninterruptible()
    suspended["spec"]["suspend"] = True
    assert decide(observed(running, suspended, stopped), timedelta())[1]["phase"] == "Queued"
    resumed = video_job(status=BEGUN | {"forgivenInterruptions": 1})
    assert decide(observed(resumed, _uninterruptible(), stopped), timedelta())[1]["phase"] == "Pending"
    again = video_job(status=BEGUN | {"forgivenInterruptions": 1, "attempts": 2})
    assert decide(observed(again, _uninterruptible(), stopped), timedelta())[1]["reason"] == "TooManyInterruptions"


def test_a_suspension_in_a_queue_which_takes_the_job_away_is_no_interruption_either() -> None:
    held = video_job(status=BEGUN, suspend=True, labels={QUEUE_LABEL: "gpu"})
    profiles = {"default": SETTINGS.profiles["default"].model_copy(update={"max_interruptions": 0})}
    settings = replace(SETTINGS, profiles=profiles)
    (told,) = reconcile(observed(held), settings, NOW).actions
    assert isinstance(told, SetStatus)
    assert (told.fields["phase"], told.fields["forgivenInterruptions"]) == ("Queued", 1)
    resumed = video_job(status=BEGUN | {"forgivenInterruptions": 1})
    assert isinstance(reconcile(observed(resumed), settings, NOW).actions[0], CreateJob)


def _uninterruptible() -> Manifest:
    made = job()
    made["metadata"]["annotations"] = {"videojob.dev/max-interruptions": "0"}
    return made


def test_a_pod_that_finds_no_node_but_the_one_whose_gpu_failed_is_given_up() -> None:
    waiting = pod(node=None, conditions=[_unplaced("1 node(s) didn't match Pod's node affinity/selector")])
    term = {"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["gpu-1"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    waiting["spec"]["affinity"] = {"nodeAffinity": required}
    world = observed(None, job(), waiting)
    assert decide(world, timedelta(seconds=2))[1]["reason"] == "GpuFault"
    tainted = "1 node(s) had untolerated taint(s), 1 node(s) didn't match Pod's node affinity/selector"
    waiting["status"]["conditions"] = [_unplaced(tainted)]
    early = reconcile(world, SETTINGS, CREATED + timedelta(minutes=1))
    assert early.requeue_after_seconds == 541.0, "ten minutes after the pod came"
    assert decide(world, timedelta(minutes=1))[1]["reason"] == "NoMatchingNode"
    assert decide(world, timedelta(minutes=11))[1]["reason"] == "GpuFault"


def _unplaced(obstacles: str) -> Manifest:
    message = f"0/2 nodes are available: {obstacles}. preemption: 0/2 nodes are available."
    return {"type": "PodScheduled", "status": "False", "message": message}
