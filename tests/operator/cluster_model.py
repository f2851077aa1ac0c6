"""A small model of what the cluster does with what the operator writes, for the model-based test.

It knows the rules that the operator relies on: a Job's name exists once, deletions name a uid, a status is patched
against a version, the Job controller keeps one pod at a time and follows podFailurePolicy.
"""

from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from tests.operator import worlds as w
from tests.operator.worlds import NOW, Manifest

from videojob_operator.endings import overran
from videojob_operator.job import GRACE_SECONDS, held, is_held
from videojob_operator.limits import LOST_SECONDS, failed_by_us
from videojob_operator.manifests import controller_uid, is_deleting, moment, timestamp, true_condition
from videojob_operator.nodes import nodes_avoided
from videojob_operator.observed import Observed, has_ended, termination
from videojob_operator.reconcile import (
    ENDING_SECONDS,
    Action,
    CreateJob,
    DeleteJob,
    DeleteVideoJob,
    EndJob,
    FailPod,
    SetStatus,
    SuspendJob,
)

NODES = ("gpu-1", "gpu-2")
NOWHERE = "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."


class ConflictError(Exception):
    """The API server's 404 or 409: not the object that was observed."""


class RefusedError(Exception):
    """The API server's 403."""


class ClusterModel:
    """One VideoJob, its Job, its pods, and the time.

    Attributes:
        refuses: whether the cluster takes no Jobs, for a quota.
        created: uids of the Jobs that were made.
        created_in_vain: Jobs that an operator would have made though it had just seen one, or one in the making.
        deleted: uids that a deletion was asked for by an operator that had just looked; likewise `ended`.
        had_node: uids of the pods that got a node; `suspended` are those that a suspension stopped.
        is_exact: no operator has acted on what it saw long ago in a way that no API server can notice.
    """

    def __init__(self, video_job: Manifest) -> None:
        self.now: datetime = NOW
        self.video_job: Manifest | None = video_job
        self.job: Manifest | None = None
        self.pods: list[Manifest] = []
        self.refuses = False
        self.created: list[str] = []
        self.created_in_vain = 0
        self.deleted: list[str] = []
        self.ended: list[str] = []
        self.had_node: set[str] = set()
        self.suspended: set[str] = set()
        self.is_exact = True
        self._knows_foreign = False
        self._lost: set[str] = set()
        self._version = 100
        self._counted: set[str] = set()

    def observe(self) -> Observed:
        """Return copies of all objects: they do not change under the operator's hands.

        No watch tells of a Job that is not ours; it is seen once it was in the way.
        """
        job = None if self._is_foreign() and not self._knows_foreign else self.job
        return deepcopy(Observed(self.video_job, job, tuple(self.pods)))

    @property
    def status(self) -> Manifest:
        found: Manifest = (self.video_job or {}).get("status", {})
        return found

    def newest_pod(self) -> Manifest | None:
        return self.pods[-1] if self.pods else None

    def active_pods(self) -> list[Manifest]:
        return [pod for pod in self.pods if not has_ended(pod)]

    def pods_at_work(self) -> list[Manifest]:
        """Return the pods that go on, or will; not those of a node that has been silent for too long."""
        return [pod for pod in self.active_pods() if not self._is_given_up(pod)]

    def hanging_pods(self) -> list[Manifest]:
        """Return the pods that no kubelet ends."""
        return [pod for pod in self.active_pods() if pod["metadata"]["uid"] in self._lost]

    def is_own(self, pod: Manifest) -> bool:
        """Tell whether a pod is of the Job that is there."""
        return self.job is not None and controller_uid(pod) == self.job["metadata"]["uid"]

    def _is_given_up(self, pod: Manifest) -> bool:
        due = pod["metadata"].get("deletionTimestamp")
        return due is not None and self.now >= moment(due) + timedelta(seconds=LOST_SECONDS)

    def _is_foreign(self) -> bool:
        return self.job is not None and controller_uid(self.job) is None

    # ------------------------------------------------------------ the API server

    def carry_out(self, observed: Observed, action: Action, *, fresh: bool) -> None:  # noqa: C901 - one case an action
        """Do what an action says, or refuse it as the API server would.

        Args:
            observed: what it was decided on.
            action: what to do.
            fresh: whether nothing had changed since, when the first action of the round was begun.
        """
        match action:
            case CreateJob(manifest, again):
                if again and self.observe() != observed:
                    raise ConflictError
                self._create(manifest, fresh=fresh, again=again)
            case DeleteJob(uid):
                self._require_job(uid)
                if fresh:
                    self.deleted.append(uid)
                self._lose_job()
            case EndJob(uid):
                self._require_job(uid)["spec"]["activeDeadlineSeconds"] = ENDING_SECONDS
                if fresh:
                    self.ended.append(uid)
            case SuspendJob(uid, suspend):
                job = self._require_job(uid)
                assert not fresh or is_held(job) != suspend
                self.is_exact &= fresh
                job["spec"]["suspend"] = suspend
                job["metadata"]["annotations"] |= held(suspend=suspend)
            case FailPod(_, uid):
                self._fail_pod(uid)
            case SetStatus(fields, _):
                self._merge_status(observed, fields)
            case DeleteVideoJob(uid):
                if self.video_job is None or self.video_job["metadata"]["uid"] != uid:
                    raise ConflictError
                self.video_job = None

    def _create(self, manifest: Manifest, *, fresh: bool, again: bool) -> None:
        if self.job is not None or self.video_job is None:
            if fresh and not (self._is_foreign() and not self._knows_foreign):
                self.created_in_vain += 1
            self._knows_foreign = self._is_foreign()
            raise ConflictError
        if self.refuses:
            raise RefusedError
        if not again and not fresh and self.active_pods():
            self.is_exact = False  # a first Job, decided on before there was any: it is made without a look
        self._version += 1
        uid = f"job-{self._version}"
        self.created.append(uid)
        meta = {**deepcopy(manifest["metadata"]), "uid": uid, "creationTimestamp": timestamp(self.now)}
        self.job = {**deepcopy(manifest), "metadata": meta, "status": {"startTime": timestamp(self.now)}}

    def _require_job(self, uid: str) -> Manifest:
        if self.job is None or self.job["metadata"]["uid"] != uid:
            raise ConflictError
        return self.job

    def _lose_job(self, *, lingers: bool = False) -> None:
        """Take the Job away at once, or when its pods are gone; garbage collection comes for them later."""
        if self.job and (lingers or is_deleting(self.job)):
            self.job["metadata"].setdefault("deletionTimestamp", timestamp(self.now))
        else:
            self.job, self._knows_foreign = None, False

    def _fail_pod(self, uid: str) -> None:
        for pod in self.pods:
            if pod["metadata"]["uid"] == uid:
                pod["status"] |= {"phase": "Failed", "conditions": [failed_by_us(self.now)]}
                return
        raise ConflictError

    def _merge_status(self, observed: Observed, fields: Manifest) -> None:
        seen: Any = observed.video_job
        now: Any = self.video_job
        if now is None or now["metadata"] != seen["metadata"]:
            raise ConflictError
        merged = {key: value for key, value in (now.get("status", {}) | fields).items() if value is not None}
        if "resolved" in fields:
            merged["resolved"] = now.get("status", {}).get("resolved", {}) | fields["resolved"]
        self._write_video_job(status=deepcopy(merged))

    def _write_video_job(self, **parts: Any) -> None:
        self._version += 1
        video: Any = self.video_job
        self.video_job = {**video, **parts, "metadata": {**video["metadata"], "resourceVersion": str(self._version)}}

    # ------------------------------------------------------------ users

    def change_spec(self, **fields: Any) -> None:
        if self.video_job:
            self._write_video_job(spec=self.video_job["spec"] | fields)
            self.video_job["metadata"]["generation"] += 1

    def delete_job_by_hand(self, *, lingers: bool) -> None:
        """Delete the Job as `kubectl delete job` does, or with `--cascade=foreground`."""
        if self.job:
            self._lose_job(lingers=lingers)

    def delete_video_job(self) -> None:
        self.video_job = None

    def put_foreign_job(self) -> None:
        """Have somebody else use the name."""
        if self.job is None:
            self._version += 1
            self.job = {"metadata": {"name": "squirrel", "uid": f"foreign-{self._version}"}, "spec": {}, "status": {}}

    def take_foreign_job_away(self) -> None:
        if self._is_foreign():
            self._lose_job()

    # ------------------------------------------------------------ controllers, nodes, renderers

    def collect_garbage(self) -> None:
        """Delete what has no owner any more: pods that run get their grace period, all others go."""
        if self.job and not self._is_foreign() and self.video_job is None:
            self._lose_job()
        for pod in list(self.pods):
            if not self.is_own(pod) or (self.job and is_deleting(self.job)):
                self._delete_pod(pod)
        if self.job and is_deleting(self.job) and not any(map(self.is_own, self.pods)):
            self.job = None

    def _delete_pod(self, pod: Manifest) -> None:
        if has_ended(pod) or pod["status"]["phase"] != "Running":
            self.pods.remove(pod)
        else:
            pod["metadata"].setdefault("deletionTimestamp", timestamp(self.now + timedelta(seconds=GRACE_SECONDS)))

    def remove_ended_pods(self) -> None:
        """Take away the pods that have ended, as a drain does: the Job controller counts them first."""
        self.pods = [pod for pod in self.pods if not has_ended(pod) or pod["metadata"]["uid"] not in self._counted]

    def end_deleted_pods(self) -> None:
        """Let the kubelets end what is being deleted: a renderer leaves its checkpoint and says so."""
        for pod in self.active_pods():
            if is_deleting(pod) and pod["metadata"]["uid"] not in self._lost:
                self._end(pod, 75)

    def sync_job(self) -> None:
        """Do one round of the Job controller."""
        job = self.job
        if job is None or self._is_foreign() or self._is_over(job) or is_deleting(job):
            return
        active = [pod for pod in self.active_pods() if self.is_own(pod)]
        if job["spec"].get("suspend"):
            self.suspended |= {pod["metadata"]["uid"] for pod in active}
            self._delete_all(active)
        elif job["spec"].get("activeDeadlineSeconds") == ENDING_SECONDS:
            self._delete_all(active)
            if not active:
                self._finish(job, "Failed", "DeadlineExceeded")
        else:
            self._count(job)
            if not self._is_over(job) and not active:
                self._start_pod(job)

    def _delete_all(self, pods: list[Manifest]) -> None:
        for pod in pods:
            self._delete_pod(pod)

    def _count(self, job: Manifest) -> None:
        for pod in filter(self.is_own, self.pods):
            uid = pod["metadata"]["uid"]
            if not has_ended(pod) or uid in self._counted:
                continue
            self._counted.add(uid)
            action = _failure_action(job, pod)
            if pod["status"]["phase"] == "Succeeded":
                self._finish(job, "Complete", "CompletionsReached")
            elif action == "FailJob":
                self._finish(job, "Failed", "PodFailurePolicy")
            elif action != "Ignore":
                job["status"]["failed"] = job["status"].get("failed", 0) + 1
                if job["status"]["failed"] > job["spec"]["backoffLimit"]:
                    self._finish(job, "Failed", "BackoffLimitExceeded")

    def _finish(self, job: Manifest, kind: str, reason: str) -> None:
        job["status"]["conditions"] = [{"type": kind, "status": "True", "reason": reason, "message": reason}]

    @staticmethod
    def _is_over(job: Manifest) -> bool:
        return bool(job["status"].get("conditions"))

    def _start_pod(self, job: Manifest) -> None:
        self._version += 1
        made = w.pod(name=f"squirrel-{self._version}", node=None, created=timestamp(self.now))
        made["metadata"]["ownerReferences"] = [{"uid": job["metadata"]["uid"], "controller": True}]
        made["spec"] = {**deepcopy(job["spec"]["template"]["spec"])}
        self.pods.append(made)

    def schedule(self) -> None:
        """Give the waiting pod the first node it does not avoid."""
        pod = self.newest_pod()
        if pod is None or pod["spec"].get("nodeName") or has_ended(pod):
            return
        allowed = [node for node in NODES if node not in nodes_avoided(pod)]
        if allowed:
            pod["spec"]["nodeName"] = allowed[0]
            self.had_node.add(pod["metadata"]["uid"])
            pod["status"] |= {"startTime": timestamp(self.now), "conditions": []}
        else:
            pod["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "message": NOWHERE}]

    def run_pod(self) -> None:
        """Start the container of the pod that has a node."""
        pod = self.newest_pod()
        if pod and pod["spec"].get("nodeName") and not has_ended(pod):
            pod["status"] |= {
                "phase": "Running",
                "containerStatuses": [{"name": "renderer", "state": {"running": {"startedAt": timestamp(self.now)}}}],
            }

    def end_pod(self, code: int, *, reason: str = "", is_drained: bool = False) -> None:
        """End the container of the pod that runs; with 0 its video is recorded."""
        pod = self.newest_pod()
        if pod is None or pod["status"]["phase"] != "Running":
            return
        if is_drained:
            pod["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True", "message": "drained"}]
        self._end(pod, code, reason)

    def _end(self, pod: Manifest, code: int, reason: str = "") -> None:
        if code == 0 and self.video_job:
            video = w.recorded_video(pod_name=pod["metadata"]["name"])
            self._write_video_job(status=self.status | video)
        pod["status"] |= {
            "phase": "Succeeded" if code == 0 else "Failed",
            "containerStatuses": [{"name": "renderer", "state": w.ended(code)}],
            **({"reason": reason} if reason else {}),
        }
        assert overran(pod) == (reason == "DeadlineExceeded")

    def lose_node(self) -> None:
        """Ask for the deletion of the pod that runs, which its node never hears of."""
        pod = self.newest_pod()
        if pod and pod["status"]["phase"] == "Running":
            self._lost.add(pod["metadata"]["uid"])
            self._delete_pod(pod)

    def pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)


def _failure_action(job: Manifest, pod: Manifest) -> str:
    """Return what the Job's podFailurePolicy says about the end of a pod: its first rule that fits decides."""
    code = (termination(pod) or {"exitCode": 137})["exitCode"]
    for rule in job["spec"]["podFailurePolicy"]["rules"]:
        if code in rule.get("onExitCodes", {}).get("values", []):
            return str(rule["action"])
        if any(true_condition(pod, pattern["type"]) for pattern in rule.get("onPodConditions", [])):
            return str(rule["action"])
    return "Count"
