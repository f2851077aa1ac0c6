"""Whatever happens, in whatever order, and wherever the operator dies: it ends where it should, and does nothing twice.

Hypothesis plays users, nodes, renderers and the Job controller against `reconcile`, lets it act on old observations,
and crashes it between any two of its actions.
"""

from contextlib import suppress
from dataclasses import replace

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.operator.cluster_model import ClusterModel, ConflictError, RefusedError
from tests.operator.worlds import SETTINGS, video_job

from videojob.phases import Phase
from videojob_operator.nodes import nodes_avoided
from videojob_operator.observed import Observed
from videojob_operator.reconcile import Action, CreateJob, DeleteJob, SetStatus, reconcile
from videojob_operator.refusals import why_refused
from videojob_operator.status import Summary, derive_status, difference

TERMINAL = {"Succeeded", "Failed", "Cancelled"}
RENDERERS_FIELDS = {"progress", "artifacts", "renderer"}
ROUNDS = 10


class Life(RuleBasedStateMachine):
    """The life of one VideoJob."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = SETTINGS
        self.cluster = ClusterModel(video_job())
        self.old: list[Observed] = []
        self.final: tuple[str, str] | None = None

    @initialize(
        limits=st.fixed_dictionaries(
            {"backoffLimit": st.integers(0, 2)},
            optional={"startDeadlineSeconds": st.just(60), "ttlSecondsAfterFinished": st.just(3600)},
        ),
        queued=st.booleans(),
        fails_lost_pods=st.booleans(),
        max_interruptions=st.integers(0, 2),
    )
    def begin(self, limits: dict[str, int], *, queued: bool, fails_lost_pods: bool, max_interruptions: int) -> None:
        labels = {"kueue.x-k8s.io/queue-name": "gpu"} if queued else {}
        self.cluster = ClusterModel(video_job(labels=labels, **limits))
        profile = SETTINGS.profiles["default"].model_copy(update={"max_interruptions": max_interruptions})
        self.settings = replace(SETTINGS, profiles={"default": profile}, fail_lost_pods=fails_lost_pods)

    def act(self, observed: Observed, *, actions: int | None = None) -> list[Action]:
        """Reconcile and carry out the first of the actions; a conflict ends the round, as in the controller."""
        fresh = observed == self.cluster.observe()
        decision = reconcile(observed, self.settings, self.cluster.now)
        done: list[Action] = []
        for action in decision.actions[:actions]:
            if isinstance(action, SetStatus):
                assert not RENDERERS_FIELDS & action.fields.keys()
            try:
                self.cluster.carry_out(observed, action, fresh=fresh)
            except ConflictError:
                break
            except RefusedError:
                self._show_refusal(observed)
                break
            done.append(action)
        return done

    def _show_refusal(self, observed: Observed) -> None:
        """Do as the controller does, which then waits before its next try."""
        summary = Summary(Phase.PENDING, *why_refused("exceeded quota: no-jobs", "the Job"))
        fields = difference(derive_status(observed, summary, self.cluster.now), observed.status)
        with suppress(ConflictError):
            self.cluster.carry_out(observed, SetStatus(fields), fresh=False)

    @rule(crash_after=st.none() | st.integers(0, 2))
    def operator_looks(self, crash_after: int | None) -> None:
        observed = self.cluster.observe()
        self.old = [*self.old[-2:], observed]
        planned = reconcile(observed, self.settings, self.cluster.now).actions
        assert sum(isinstance(action, CreateJob) for action in planned) <= (observed.job is None)
        assert sum(isinstance(action, DeleteJob) for action in planned) <= (observed.job is not None)
        for action in planned:
            if isinstance(action, CreateJob):
                template = action.job["spec"]["template"]
                assert set(nodes_avoided(template)) == set(observed.status.get("avoidedNodes", []))
        self.act(observed, actions=crash_after)

    @precondition(lambda self: self.old)
    @rule(data=st.data())
    def operator_acts_on_what_it_saw_long_ago(self, data: st.DataObject) -> None:
        self.act(data.draw(st.sampled_from(self.old)))

    @rule()
    def operator_and_cluster_go_on(self) -> None:
        """All of them in turn, so that pods run in most lives."""
        self.act(self.cluster.observe())
        self.cluster.sync_job()
        self.cluster.schedule()
        self.cluster.run_pod()

    @rule()
    def job_controller(self) -> None:
        self.cluster.sync_job()

    @rule()
    def scheduler(self) -> None:
        self.cluster.schedule()

    @rule()
    def kubelet(self) -> None:
        self.cluster.run_pod()

    @rule(code=st.sampled_from([0, 1, 64, 70, 75, 75, 137]))
    def renderer_ends(self, code: int) -> None:
        self.cluster.end_pod(code)

    @rule()
    def renderer_refuses_on_a_node_that_is_drained(self) -> None:
        self.operator_and_cluster_go_on()
        self.cluster.end_pod(64, is_drained=True)

    @rule()
    def run_takes_too_long(self) -> None:
        self.cluster.end_pod(75, reason="DeadlineExceeded")

    @rule()
    def node_is_lost(self) -> None:
        self.cluster.lose_node()

    @rule(lingers=st.booleans())
    def job_is_deleted_by_hand(self, *, lingers: bool) -> None:
        self.cluster.delete_job_by_hand(lingers=lingers)

    @rule()
    def garbage_collector(self) -> None:
        self.cluster.collect_garbage()

    @rule()
    def kubelet_ends_what_is_deleted(self) -> None:
        self.cluster.end_deleted_pods()

    @rule(code=st.sampled_from([0, 1, 75]))
    def renderer_ends_and_its_pod_is_taken_away(self, code: int) -> None:
        """No operator has seen its end."""
        self.operator_and_cluster_go_on()
        self.cluster.end_pod(code)
        self.cluster.sync_job()
        self.cluster.remove_ended_pods()
        self.act(self.cluster.observe())

    @rule(there=st.booleans())
    def somebody_else_uses_the_name(self, *, there: bool) -> None:
        if there:
            self.cluster.put_foreign_job()
        else:
            self.cluster.take_foreign_job_away()

    @rule(refuses=st.booleans())
    def quota_is_used_up_or_not(self, *, refuses: bool) -> None:
        self.cluster.refuses = refuses

    @rule(suspend=st.booleans())
    def user_suspends_or_resumes(self, *, suspend: bool) -> None:
        self.cluster.change_spec(suspend=suspend)

    @rule()
    def user_suspends_and_soon_resumes(self) -> None:
        """The pod has ended by then and can still be seen."""
        self.cluster.change_spec(suspend=True)
        self.act(self.cluster.observe())
        self.cluster.sync_job()
        self.cluster.end_deleted_pods()
        self.cluster.change_spec(suspend=False)
        self.act(self.cluster.observe())

    @precondition(lambda self: self.cluster.had_node)
    @rule(deletes=st.booleans())
    def user_cancels_or_deletes_the_videojob(self, *, deletes: bool) -> None:
        if deletes:
            self.cluster.delete_video_job()
        else:
            self.cluster.change_spec(cancel=True)

    @rule(seconds=st.sampled_from([1, 30, 300, 7200]))
    def time_passes(self, seconds: int) -> None:
        self.cluster.pass_time(seconds)

    @invariant()
    def a_final_phase_and_its_reason_stay(self) -> None:
        status = self.cluster.status
        if self.final and self.cluster.video_job:
            assert (status["phase"], status["reason"]) == self.final
        if status.get("phase") in TERMINAL:
            self.final = status["phase"], status["reason"]

    @invariant()
    def there_is_never_more_than_one_pod_at_work(self) -> None:
        assert len(self.cluster.pods_at_work()) <= 1 or not self.cluster.is_exact

    @invariant()
    def who_has_just_looked_asks_for_nothing_that_is_done_already(self) -> None:
        assert self.cluster.created_in_vain == 0
        assert len(set(self.cluster.deleted)) == len(self.cluster.deleted)
        assert len(set(self.cluster.ended)) == len(self.cluster.ended)

    @invariant()
    def only_what_stops_it_from_outside_counts_as_an_interruption(self) -> None:
        if self.cluster.status.get("reason") == "TooManyInterruptions" and self.cluster.is_exact:
            stopped = self.cluster.had_node - self.cluster.suspended
            assert len(stopped) > self.settings.profiles["default"].max_interruptions

    @invariant()
    def success_has_a_video(self) -> None:
        if self.cluster.status.get("phase") == "Succeeded":
            assert self.cluster.status["artifacts"]["video"]["uri"]

    @invariant()
    def a_recorded_video_is_not_lost(self) -> None:
        if "video" in self.cluster.status.get("artifacts", {}):
            assert self.cluster.status.get("reason") != "ArtifactMissing"

    def teardown(self) -> None:
        """Without news it comes to rest; with a cluster that works, it comes to an end, and holds nothing any more."""
        self._comes_to_rest()
        self.cluster.refuses = False
        self.cluster.take_foreign_job_away()
        if self.cluster.status.get("phase") not in TERMINAL:
            self.cluster.change_spec(suspend=False)
        for _ in range(30):
            if self._is_over():
                break
            self._round()
            self.cluster.schedule()
            self.cluster.run_pod()
            self.cluster.end_pod(0)
            self.cluster.pass_time(30)
        for _ in range(ROUNDS):
            self._round()
        self._ends_well()

    def _is_over(self) -> bool:
        return self.cluster.video_job is None or self.cluster.status.get("phase") in TERMINAL

    def _round(self) -> None:
        self._comes_to_rest()
        self.cluster.sync_job()
        self.cluster.end_deleted_pods()
        self.cluster.collect_garbage()

    def _comes_to_rest(self) -> None:
        created, phases = len(self.cluster.created), [""]
        for _ in range(ROUNDS):
            before = self.cluster.status.get("phase")
            if not self.act(self.cluster.observe()):
                break
            if self.cluster.status.get("phase") != before:
                phases.append(self.cluster.status.get("phase", "gone"))
        else:
            raise AssertionError(f"still acting after {ROUNDS} rounds: {phases}")
        assert len(set(phases)) == len(phases), f"oscillates: {phases}"
        assert len(self.cluster.created) <= created + 1

    def _ends_well(self) -> None:
        hanging = self.cluster.hanging_pods()
        assert self._is_over() or any(map(self.cluster.is_own, hanging)), "waits for a node that never answers"
        if self._is_over():
            assert self.cluster.active_pods() == hanging
        if self.cluster.video_job is None:
            assert self.cluster.job is None


TestLife = Life.TestCase
TestLife.settings = hypothesis_settings(max_examples=100, stateful_step_count=30, deadline=None, derandomize=True)
