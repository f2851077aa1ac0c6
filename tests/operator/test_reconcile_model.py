"""Whatever happens, in whatever order, and wherever the operator dies: it ends where it should, and does nothing twice.

Hypothesis plays users, nodes, renderers and the Job controller against `reconcile`, lets it act on old observations,
and crashes it between any two of its actions.
"""

from dataclasses import replace

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.operator.cluster_model import ClusterModel, ConflictError
from tests.operator.worlds import SETTINGS, video_job

from videojob_operator.nodes import nodes_avoided
from videojob_operator.observed import Observed
from videojob_operator.reconcile import Action, CreateJob, DeleteJob, SetStatus, reconcile

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
    )
    def begin(self, limits: dict[str, int], *, queued: bool, fails_lost_pods: bool) -> None:
        labels = {"kueue.x-k8s.io/queue-name": "gpu"} if queued else {}
        self.cluster = ClusterModel(video_job(labels=labels, **limits))
        profile = SETTINGS.profiles["default"].model_copy(update={"max_interruptions": 2})
        self.settings = replace(SETTINGS, profiles={"default": profile}, fail_lost_pods=fails_lost_pods)

    def act(self, observed: Observed, *, actions: int | None = None) -> list[Action]:
        """Reconcile and carry out the first of the actions; a conflict ends the round, as in the controller."""
        decision = reconcile(observed, self.settings, self.cluster.now)
        done: list[Action] = []
        for action in decision.actions[:actions]:
            if isinstance(action, SetStatus):
                assert not RENDERERS_FIELDS & action.fields.keys()
            try:
                self.cluster.carry_out(observed, action)
            except ConflictError:
                break
            done.append(action)
        return done

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
    def run_takes_too_long(self) -> None:
        self.cluster.end_pod(75, reason="DeadlineExceeded")

    @rule()
    def node_is_lost(self) -> None:
        self.cluster.lose_node()

    @rule()
    def job_is_deleted_by_hand(self) -> None:
        self.cluster.delete_job_by_hand()

    @rule(suspend=st.booleans())
    def user_suspends_or_resumes(self, *, suspend: bool) -> None:
        self.cluster.change_spec(suspend=suspend)

    @rule()
    def user_cancels(self) -> None:
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
        assert len(self.cluster.active_pods()) <= 1

    @invariant()
    def no_job_is_deleted_twice(self) -> None:
        assert len(set(self.cluster.deleted)) == len(self.cluster.deleted)

    @invariant()
    def success_has_a_video(self) -> None:
        if self.cluster.status.get("phase") == "Succeeded":
            assert self.cluster.status["artifacts"]["video"]["uri"]

    def teardown(self) -> None:
        """Without news it comes to rest; with a cluster that works, it comes to an end."""
        self._comes_to_rest()
        if self.cluster.status.get("phase") not in TERMINAL:
            self.cluster.change_spec(suspend=False)
        for _ in range(30):
            self._comes_to_rest()
            if self.cluster.video_job is None or self.cluster.status["phase"] in TERMINAL:
                break
            self.cluster.sync_job()
            self.cluster.schedule()
            self.cluster.run_pod()
            self.cluster.end_pod(0)
        self._ends_well()

    def _comes_to_rest(self) -> None:
        created, phases = len(self.cluster.created), [self.cluster.status.get("phase")]
        for _ in range(ROUNDS):
            if not self.act(self.cluster.observe()):
                break
            if self.cluster.status.get("phase") != phases[-1]:
                phases.append(self.cluster.status.get("phase"))
        else:
            raise AssertionError(f"still acting after {ROUNDS} rounds: {phases}")
        assert len(set(phases)) == len(phases), f"oscillates: {phases}"
        assert len(self.cluster.created) <= created + 1

    def _ends_well(self) -> None:
        if self.cluster.video_job is None:
            return  # its time to live is over
        hangs = [pod for pod in self.cluster.active_pods() if "deletionTimestamp" in pod["metadata"]]
        if not hangs:
            assert self.cluster.status["phase"] in TERMINAL
            assert not self.cluster.active_pods() or self.cluster.job is not None


TestLife = Life.TestCase
TestLife.settings = hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)
