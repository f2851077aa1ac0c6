"""`reconcile` is right in each situation, never acts on a finished job, and comes to rest."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.operator import worlds as w
from tests.operator.worlds import JOB_UID, NOW, SETTINGS, Manifest, ended, job, observed, pod, video_job

from videojob_operator.manifests import timestamp
from videojob_operator.observed import Observed
from videojob_operator.reconcile import (
    NOTHING,
    Action,
    CreateJob,
    Decision,
    DeleteJob,
    SetStatus,
    SuspendJob,
    reconcile,
)


def decide(world: Observed) -> Decision:
    return reconcile(world, SETTINGS, NOW)


def status_fields(decision: Decision) -> Manifest:
    return next((action.fields for action in decision.actions if isinstance(action, SetStatus)), {})


def created(decision: Decision) -> CreateJob:
    return next(action for action in decision.actions if isinstance(action, CreateJob))


def kinds(decision: Decision) -> list[type[Action]]:
    return [type(action) for action in decision.actions]


def test_a_new_videojob_gets_a_job_and_a_status_in_two_writes() -> None:
    decision = decide(observed())
    assert kinds(decision) == [CreateJob, SetStatus]
    assert status_fields(decision)["phase"] == "Pending"
    assert status_fields(decision)["resolved"]["numFrames"] == 49


def test_a_deleted_videojob_is_left_to_garbage_collection() -> None:
    assert decide(Observed(None, job())) == NOTHING
    deleting = video_job()
    deleting["metadata"]["deletionTimestamp"] = "2025-09-14T12:00:00Z"
    assert decide(observed(deleting, job())) == NOTHING


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Cancelled"])
def test_a_finished_videojob_is_never_touched_again(phase: str) -> None:
    done = video_job(status={"phase": phase}, cancel=True)
    assert decide(observed(done)) == NOTHING
    assert status_fields(decide(observed(done, job(), pod()))) == {}


def test_a_job_that_outlived_the_cancellation_is_deleted_and_any_other_kept() -> None:
    assert decide(observed(video_job(status={"phase": "Cancelled"}), job())).actions == (DeleteJob(JOB_UID),)
    assert decide(observed(video_job(status={"phase": "Cancelled"}), job(owner="somebody else"))) == NOTHING
    assert decide(observed(video_job(status={"phase": "Succeeded"}), job())) == NOTHING
    assert decide(observed(video_job(status={"phase": "Failed"}), job())) == NOTHING


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"request": {"prompt": "x", "model": "CogVideoX-3b"}}, "UnknownModel", "known are CogVideoX-2b"),
        ({"request": {"prompt": "x", "numFrames": 57}}, "InvalidRequest", "nearest legal value: 49"),
        ({"request": {"prompt": " "}}, "InvalidRequest", "prompt must not be blank"),
        ({"profile": "a100"}, "UnknownProfile", "default, h100"),
    ],
)
def test_what_can_never_be_rendered_fails_before_a_job_is_made(spec: Manifest, reason: str, words: str) -> None:
    decision = decide(observed(video_job(**spec)))
    assert kinds(decision) == [SetStatus]
    fields = status_fields(decision)
    assert (fields["phase"], fields["reason"]) == ("Failed", reason)
    assert words in fields["message"]
    assert {c["type"]: c["status"] for c in fields["conditions"]} == {
        "Accepted": "False",
        "Scheduled": "False",
        "Running": "False",
        "Succeeded": "False",
    }


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"request": {"prompt": "x", "model": "CogVideoX-3b"}}, "UnknownModel"),
        ({"profile": "a100"}, "UnknownProfile"),
    ],
)
def test_settings_that_are_just_changing_have_three_minutes_to_come(spec: Manifest, reason: str) -> None:
    young = video_job(**spec)
    young["metadata"]["creationTimestamp"] = timestamp(NOW - timedelta(seconds=179))
    decision = decide(observed(young))
    assert kinds(decision) == [SetStatus]
    assert (status_fields(decision)["phase"], status_fields(decision)["reason"]) == ("Pending", reason)
    assert decision.requeue_after_seconds
    young["status"] = status_fields(decision)
    assert decide(observed(young)).actions == (), "to wait costs no write"
    assert status_fields(reconcile(observed(young), SETTINGS, NOW + timedelta(seconds=1)))["phase"] == "Failed"
    settings = replace(
        SETTINGS,
        catalogue=SETTINGS.catalogue.model_copy(
            update={"models": {**SETTINGS.catalogue.models, "CogVideoX-3b": SETTINGS.catalogue.models["CogVideoX-2b"]}}
        ),
        profiles={**SETTINGS.profiles, "a100": SETTINGS.profiles["h100"]},
    )
    assert kinds(reconcile(observed(young), settings, NOW)) == [CreateJob, SetStatus]


def test_a_cancelled_job_is_deleted_before_it_is_called_cancelled() -> None:
    decision = decide(observed(video_job(cancel=True), job(), pod()))
    assert decision.actions[0] == DeleteJob(JOB_UID)
    assert status_fields(decision)["phase"] == "Cancelled"


def test_a_job_cancelled_before_it_began_never_gets_a_job() -> None:
    decision = decide(observed(video_job(cancel=True)))
    assert kinds(decision) == [SetStatus]
    assert status_fields(decision)["phase"] == "Cancelled"


def test_a_cancellation_that_comes_too_late_keeps_the_video() -> None:
    done = video_job(cancel=True, status=w.recorded_video())
    still_there = observed(done, job(), pod(phase="Succeeded", state=ended(0)))
    for world in (still_there, observed(done, job(Complete="CompletionsReached"))):
        decision = decide(world)
        assert kinds(decision) == [SetStatus]
        assert status_fields(decision)["phase"] == "Succeeded"


def test_a_foreign_job_of_the_same_name_is_waited_for_and_left_alone() -> None:
    decision = decide(observed(None, job(owner="somebody else")))
    assert kinds(decision) == [SetStatus]
    assert status_fields(decision)["reason"] == "NameInUse"
    assert decision.requeue_after_seconds == 5.0


def test_a_job_that_was_deleted_by_hand_is_made_again_after_a_fresh_look() -> None:
    assert created(decide(observed())).again is False
    running = video_job(status={"phase": "Running", "jobName": "squirrel", "attempts": 1, "podName": w.POD})
    assert created(decide(observed(running))).again is True


@pytest.mark.parametrize("spec", [{"request": {"prompt": "x", "model": "CogVideoX-3b"}}, {"profile": "a100"}])
def test_a_model_or_profile_that_goes_away_does_not_disturb_what_runs(spec: Manifest) -> None:
    world = observed(video_job(status=w.progress("Denoising"), **spec), job(), pod(phase="Running", state=w.RUNNING))
    assert status_fields(decide(world))["phase"] == "Running"


def test_the_status_shows_what_the_job_renders_and_not_what_the_catalogue_says_by_now() -> None:
    made = job()
    (container,) = made["spec"]["template"]["spec"]["containers"]
    for variable in container["env"]:
        if variable["name"] == "VIDEOJOB_REQUEST":
            variable["value"] = variable["value"].replace('"steps":50', '"steps":20')
    assert status_fields(decide(observed(None, made)))["resolved"]["steps"] == 20


def test_a_job_of_another_version_leaves_what_is_known_of_the_request() -> None:
    made = job()
    made["spec"]["template"]["spec"]["containers"][0]["env"] = []
    assert "resolved" not in status_fields(decide(observed(None, made)))


def test_before_a_final_verdict_the_last_words_are_waited_for() -> None:
    def verdict(*pods: Manifest) -> SetStatus:
        (action,) = decide(observed(None, job(Failed="BackoffLimitExceeded"), *pods)).actions
        assert isinstance(action, SetStatus)
        return action

    assert verdict(pod(phase="Running", state=w.RUNNING)).look_at_pods
    assert verdict().look_at_pods
    assert not verdict(pod(phase="Failed", state=ended(1))).look_at_pods
    (unknown,) = decide(observed(video_job(profile="?"))).actions
    assert unknown == SetStatus(status_fields(decide(observed(video_job(profile="?")))), look_at_pods=False)


def test_suspend_and_resume_reach_the_job() -> None:
    assert SuspendJob(JOB_UID, suspend=True) in decide(observed(video_job(suspend=True), job())).actions
    assert SuspendJob(JOB_UID, suspend=False) in decide(observed(None, job(suspend=True))).actions


def test_a_job_in_a_queue_is_resumed_by_the_queue_alone() -> None:
    of_default_queue = job(suspend=True)  # Kueue gives the label to the Job alone
    of_default_queue["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "default"
    assert SuspendJob not in kinds(decide(observed(None, of_default_queue)))


def test_a_job_that_others_suspended_is_resumed_by_them_unless_the_user_holds_it_as_well() -> None:
    theirs = job()
    theirs["spec"]["suspend"] = True
    assert SuspendJob not in kinds(decide(observed(None, theirs)))
    assert SuspendJob(JOB_UID, suspend=True) in decide(observed(video_job(suspend=True), theirs)).actions
    assert SuspendJob not in kinds(decide(observed(video_job(suspend=True), job(suspend=True))))


def test_a_job_suspended_by_a_version_that_did_not_note_it_down_is_resumed() -> None:
    former = job(suspend=True)
    del former["metadata"]["annotations"]["videojob.dev/held"]
    assert SuspendJob(JOB_UID, suspend=False) in decide(observed(None, former)).actions


def test_a_job_that_a_default_queue_would_take_up_again_and_again_is_not_made_while_the_user_holds_it() -> None:
    begun = video_job(suspend=True, status={"phase": "Queued", "jobName": "squirrel"})
    assert CreateJob in kinds(decide(observed(video_job(suspend=True))))
    assert CreateJob not in kinds(decide(observed(begun)))
