"""A small model of what the cluster does with what the operator writes, for the model-based test.

It knows the rules that the operator relies on: a Job's name exists once, deletions name a uid, a status is patched
against a version, the Job controller keeps one pod at a time and follows podFailurePolicy.
"""

from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from tests.operator import worlds as w
from tests.operator.worlds import NOW, Manifest

from videojob_operator.endings import overran, was_interrupted
from videojob_operator.limits import failed_by_us
from videojob_operator.manifests import timestamp
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


class ClusterModel:
    """One VideoJob, its Job, its pods, and the time."""

    def __init__(self, video_job: Manifest) -> None:
        self.now: datetime = NOW
        self.video_job: Manifest | None = video_job
        self.job: Manifest | None = None
        self.pods: list[Manifest] = []
        self.created: list[str] = []
        self.deleted: list[str] = []
        self._version = 100
        self._counted: set[str] = set()

    def observe(self) -> Observed:
        """Return copies of all objects: they do not change under the operator's hands."""
        return deepcopy(Observed(self.video_job, self.job, tuple(self.pods)))

    @property
    def status(self) -> Manifest:
        found: Manifest = (self.video_job or {}).get("status", {})
        return found

    def newest_pod(self) -> Manifest | None:
        return self.pods[-1] if self.pods else None

    def active_pods(self) -> list[Manifest]:
        return [pod for pod in self.pods if not has_ended(pod)]

    # ------------------------------------------------------------ the API server

    def carry_out(self, observed: Observed, action: Action) -> None:  # noqa: C901 - one case an action
        """Do what an action says, or refuse it as the API server would."""
        match action:
            case CreateJob(manifest, again):
                if again and self.observe() != observed:
                    raise ConflictError
                self._create(manifest)
            case DeleteJob(uid):
                self._require_job(uid)
                self.deleted.append(uid)
                self._lose_job()
            case EndJob(uid):
                self._require_job(uid)["spec"]["activeDeadlineSeconds"] = ENDING_SECONDS
            case SuspendJob(suspend):
                if self.job is None:
                    raise ConflictError
                self.job["spec"]["suspend"] = suspend
            case FailPod(_, uid):
                self._fail_pod(uid)
            case SetStatus(fields, _):
                self._merge_status(observed, fields)
            case DeleteVideoJob(uid):
                if self.video_job is None or self.video_job["metadata"]["uid"] != uid:
                    raise ConflictError
                self.video_job = None
                self._lose_job()

    def _create(self, manifest: Manifest) -> None:
        if self.job is not None or self.video_job is None:
            raise ConflictError
        self._version += 1
        uid = f"job-{self._version}"
        self.created.append(uid)
        meta = {**deepcopy(manifest["metadata"]), "uid": uid, "creationTimestamp": timestamp(self.now)}
        self.job = {**deepcopy(manifest), "metadata": meta, "status": {"startTime": timestamp(self.now)}}

    def _require_job(self, uid: str) -> Manifest:
        if self.job is None or self.job["metadata"]["uid"] != uid:
            raise ConflictError
        return self.job

    def _lose_job(self) -> None:
        """Garbage collection takes the pods along."""
        self.job, self.pods = None, []

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

    def delete_job_by_hand(self) -> None:
        self._lose_job()

    # ------------------------------------------------------------ controllers, nodes, renderers

    def sync_job(self) -> None:
        """Do one round of the Job controller."""
        job = self.job
        if job is None or self._is_over(job):
            return
        if job["spec"].get("suspend"):
            self.pods = [pod for pod in self.pods if has_ended(pod)]
        elif job["spec"].get("activeDeadlineSeconds") == ENDING_SECONDS:
            self._finish(job, "Failed", "DeadlineExceeded")
        else:
            self._count(job)
            if not self._is_over(job) and not self.active_pods():
                self._start_pod(job)

    def _count(self, job: Manifest) -> None:
        for pod in self.pods:
            uid = pod["metadata"]["uid"]
            if not has_ended(pod) or uid in self._counted:
                continue
            self._counted.add(uid)
            code = (termination(pod) or {"exitCode": 137})["exitCode"]
            if code == 0:
                self._finish(job, "Complete", "CompletionsReached")
            elif code in (64, 65):
                self._finish(job, "Failed", "PodFailurePolicy")
            elif not was_interrupted(pod):
                job["status"]["failed"] = job["status"].get("failed", 0) + 1
                if job["status"]["failed"] > job["spec"]["backoffLimit"]:
                    self._finish(job, "Failed", "BackoffLimitExceeded")

    def _finish(self, job: Manifest, kind: str, reason: str) -> None:
        job["status"]["conditions"] = [{"type": kind, "status": "True", "reason": reason, "message": reason}]
        self.pods = [pod for pod in self.pods if has_ended(pod)]

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

    def end_pod(self, code: int, *, reason: str = "") -> None:
        """End the container of the pod that runs; with 0 its video is recorded."""
        pod = self.newest_pod()
        if pod is None or pod["status"]["phase"] != "Running":
            return
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
            pod["metadata"]["deletionTimestamp"] = timestamp(self.now + timedelta(seconds=120))

    def pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
