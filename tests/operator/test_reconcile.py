"""`reconcile` is right in each situation, never acts on a finished job, and comes to rest."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.operator import worlds as w
from tests.operator.worlds import JOB_UID, NOW, SETTINGS, Manifest, ended, job, observed, pod, video_job

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
    assert {c["type"]: c["status"] for c in fields["conditions"]} == {"Accepted": "False", "Succeeded": "False"}


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
    decision = decide(observed(done, job(), pod(phase="Succeeded", state=ended(0))))
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
    assert SuspendJob(suspend=True) in decide(observed(video_job(suspend=True), job())).actions
    assert SuspendJob(suspend=False) in decide(observed(None, job(suspend=True))).actions


def test_a_job_in_a_queue_is_resumed_by_the_queue_alone() -> None:
    queued = video_job(labels={"kueue.x-k8s.io/queue-name": "gpu"})
    assert SuspendJob not in kinds(decide(observed(queued, job(suspend=True))))


STATES = st.sampled_from(
    [
        None,
        w.RUNNING,
        w.waiting_for("ErrImagePull", "no"),
        *(ended(code) for code in (0, 1, 64, 65, 70, 75, 137, 143)),
        ended(1, '{"reason": "Unheard", "message": "of"}'),
    ]
)
PODS = st.lists(
    st.builds(
        pod,
        name=st.sampled_from([w.POD, "squirrel-fghij", "squirrel-klmno"]),
        phase=st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
        node=st.sampled_from([None, "gpu-1"]),
        state=STATES,
        created=st.sampled_from(["2025-09-14T12:00:01Z", "2025-09-14T12:00:31Z"]),
    ),
    max_size=3,
    unique_by=lambda each: each["metadata"]["name"],
)
JOBS = st.none() | st.builds(
    lambda owner, suspend, conditions: job(owner=owner, suspend=suspend, **conditions),
    st.sampled_from([w.UID, "another"]),
    st.booleans(),
    st.sampled_from(
        [
            {},
            {"Complete": "CompletionsReached"},
            {"Failed": "BackoffLimitExceeded"},
            {"Failed": "PodFailurePolicy"},
            {"Failed": "DeadlineExceeded"},
            {"FailureTarget": "PodFailurePolicy"},
            {"Suspended": "JobSuspended"},
        ]
    ),
)
STATUSES = st.sampled_from(
    [
        {},
        {"phase": "Pending"},
        {"phase": "Running", "attempts": 1, "podName": w.POD},
        {"phase": "Succeeded"},
        {"phase": "Failed"},
        {"phase": "Cancelled"},
        w.progress("Denoising"),
        w.recorded_video(),
        w.recorded_video() | {"phase": "Uploading"},
    ]
)
SPECS = st.fixed_dictionaries({}, optional={"cancel": st.booleans(), "suspend": st.booleans(), "profile": st.just("?")})
WORLDS = st.builds(
    lambda status, spec, job, pods: observed(video_job(status=status, **spec), job, *pods), STATUSES, SPECS, JOBS, PODS
)


@settings(max_examples=500)
@given(WORLDS)
def test_in_every_situation_the_decision_is_sane(world: Observed) -> None:
    decision = decide(world)
    fields = status_fields(decision)
    if world.phase in {"Succeeded", "Failed", "Cancelled"}:
        assert kinds(decision) == ([DeleteJob] if world.phase == "Cancelled" and world.own_job() else [])
    if CreateJob in kinds(decision):
        assert world.job is None
        assert fields.get("phase", world.status.get("phase")) == "Pending"
    if fields.get("phase") == "Succeeded":
        assert world.any_video()
    for action in decision.actions:
        if isinstance(action, DeleteJob):
            assert world.own_job() is not None
            assert fields.get("phase", world.phase) == "Cancelled"
    assert "progress" not in fields
    assert "artifacts" not in fields
    assert "renderer" not in fields


def carried_out(world: Observed, action: Action) -> Observed:
    """A model of what the cluster makes of an action."""
    video: Any = world.video_job
    match action:
        case CreateJob(made, _):
            meta = {**made["metadata"], "uid": JOB_UID, "resourceVersion": "20"}
            return Observed(video, {**made, "metadata": meta}, ())
        case DeleteJob():
            return Observed(video, None, ())
        case SuspendJob(suspend):
            assert world.job
            return Observed(video, {**world.job, "spec": {**world.job["spec"], "suspend": suspend}}, world.pods)
        case SetStatus(fields, _):
            merged = {**world.status, **fields}
            if "resolved" in fields:
                merged["resolved"] = world.status.get("resolved", {}) | fields["resolved"]
            return Observed({**video, "status": merged}, world.job, world.pods)


@settings(max_examples=300)
@given(WORLDS)
def test_without_news_reconciling_comes_to_rest(world: Observed) -> None:
    for _ in range(4):
        decision = decide(world)
        if not decision.actions:
            return
        for action in decision.actions:
            world = carried_out(world, action)
    pytest.fail(f"still acting: {decide(world).actions}")


@settings(max_examples=300)
@given(WORLDS, st.data())
def test_a_crash_between_two_actions_changes_nothing_in_the_end(world: Observed, data: st.DataObject) -> None:
    def settle(start: Observed) -> Observed:
        for _ in range(5):
            for action in decide(start).actions:
                start = carried_out(start, action)
        return start

    actions = decide(world).actions
    crashed = world
    for action in actions[: data.draw(st.integers(0, len(actions)))]:
        crashed = carried_out(crashed, action)
    assert settle(crashed).status.get("phase") == settle(world).status.get("phase")
