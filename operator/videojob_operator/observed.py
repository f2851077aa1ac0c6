"""What one look at a VideoJob finds: the objects themselves, and the few questions the decisions ask of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from videojob.conditions import ConditionType
from videojob.names import UID_LABEL, is_of_attempt
from videojob.status import Artifacts
from videojob.termination import TerminationMessage
from videojob_operator.job import CONTAINER, QUEUE_LABEL
from videojob_operator.manifests import Manifest, condition_of, controller_uid, moment


@dataclass(frozen=True, slots=True)
class Observed:
    """The newest known state of one VideoJob, its Job and its pods.

    Attributes:
        video_job: None where it was deleted.
        job: the Job of its name, whoever owns it; None where there is none.
        pods: pods of the Job and of earlier ones, in any order.
    """

    video_job: Manifest | None
    job: Manifest | None = None
    pods: tuple[Manifest, ...] = ()

    @property
    def uid(self) -> str:
        """The uid of the VideoJob."""
        uid: str = (self.video_job or {})["metadata"]["uid"]
        return uid

    @property
    def phase(self) -> str | None:
        """The phase that was written before; only a terminal one means anything."""
        phase: str | None = self.status.get("phase")
        return phase

    @property
    def status(self) -> Manifest:
        """The status of the VideoJob."""
        status: Manifest = (self.video_job or {}).get("status", {})
        return status

    def wants_suspension(self) -> bool:
        """Tell whether the user holds the job back."""
        return bool((self.video_job or {})["spec"].get("suspend"))

    def is_queued(self) -> bool:
        """Tell whether Kueue decides when the Job runs.

        The Job says so where there is one: Kueue gives it the label of a namespace's default queue.
        """
        owner = self.own_job() or self.video_job or {}
        return QUEUE_LABEL in owner["metadata"].get("labels", {})

    def own_job(self) -> Manifest | None:
        """Return the Job if this VideoJob is its controller."""
        return self.job if self.job and controller_uid(self.job) == self.uid else None

    def foreign_job(self) -> Manifest | None:
        """Return the Job that has our name and belongs to something else."""
        return self.job if self.video_job and self.own_job() is None else None

    def own_pods(self) -> list[Manifest]:
        """Return the pods of the own Job, oldest first."""
        job = self.own_job()
        if not job:
            return []
        mine = [pod for pod in self.pods if controller_uid(pod) == job["metadata"]["uid"]]
        return sorted(mine, key=lambda pod: (pod["metadata"]["creationTimestamp"], not has_ended(pod)))

    def former_pods(self) -> list[Manifest]:
        """Return the pods that go on though their Job is gone: it was deleted, and they have their grace period."""
        job = self.own_job()
        at_work = [pod for pod in self.pods if not has_ended(pod) and _owner_label(pod) == self.uid]
        return [pod for pod in at_work if job is None or controller_uid(pod) != job["metadata"]["uid"]]

    def current_pod(self) -> Manifest | None:
        """Return the newest pod: there is never more than one that runs."""
        pods = self.own_pods()
        return pods[-1] if pods else None

    def last_pod_has_ended(self) -> bool:
        """Tell whether the newest pod is known to be over, with the words it ended with."""
        pod = self.current_pod()
        return pod is not None and has_ended(pod)

    def attempts(self) -> int:
        """Count the pods that have had a node, those that came and went included."""
        recorded: int = self.status.get("attempts", 0)
        return recorded + self.attempts_since(self.status.get("podName"))

    def attempts_since(self, recorded: str | None) -> int:
        """Count the pods that got a node and are newer than the one of this name."""
        pods = [pod for pod in self.own_pods() if pod["spec"].get("nodeName")]
        names = [pod["metadata"]["name"] for pod in pods]
        if recorded is None:
            return len(pods)
        if recorded in names:
            return len(pods) - names.index(recorded) - 1
        # It was deleted: by hand, by a suspension or with its Job. A pod that failed may well be older than it.
        return sum(not has_ended(pod) or pod["status"]["phase"] == "Succeeded" for pod in pods[-1:])

    def video_of(self, pod_name: str) -> bool:
        """Tell whether the recorded video was written by this pod for this very VideoJob."""
        uri = self.status.get("artifacts", {}).get("video", {}).get("uri", "")
        return is_of_attempt(uri, self.uid, pod_name)

    def any_video(self) -> bool:
        """Tell whether some attempt of this VideoJob has recorded a video."""
        uri: str = self.status.get("artifacts", {}).get("video", {}).get("uri", "")
        parts = uri.split("/")
        return len(parts) > 2 and is_of_attempt(uri, self.uid, parts[-2])

    def finished_pod(self) -> Manifest | None:
        """Return the pod that has ended well and whose video is recorded, or named in its last words."""
        for pod in self.own_pods():
            ended = termination(pod)
            if ended and ended["exitCode"] == 0 and (self.video_of(pod["metadata"]["name"]) or self.left_by(pod)):
                return pod
        return None

    def left_by(self, pod: Manifest) -> Manifest | None:
        """Return the artifacts that a pod named in its last words, because the API server was away at its end."""
        words = last_words(pod)
        if words is None or words.artifacts is None:
            return None
        try:
            artifacts = Artifacts.model_validate(words.artifacts)
        except ValidationError:
            return None
        video = artifacts.video
        return artifacts.dump() if video and is_of_attempt(video.uri, self.uid, pod["metadata"]["name"]) else None


def _owner_label(pod: Manifest) -> str | None:
    """Return the uid of a pod's VideoJob, which it keeps when its Job is deleted."""
    uid: str | None = pod["metadata"].get("labels", {}).get(UID_LABEL)
    return uid


def container_status(pod: Manifest) -> Manifest:
    """Return the status of the renderer's container, empty where there is none yet."""
    statuses: list[Manifest] = pod.get("status", {}).get("containerStatuses") or []
    return next((status for status in statuses if status["name"] == CONTAINER), {})


def termination(pod: Manifest) -> Manifest | None:
    """Return how the renderer's container ended, None while it has not."""
    ended: Manifest | None = container_status(pod).get("state", {}).get("terminated")
    return ended


def ended_at(video_job: Manifest) -> datetime | None:
    """Return when the end was written, by the API server's clock: completionTime may come from that of a node."""
    text = condition_of(video_job, ConditionType.SUCCEEDED).get("lastTransitionTime")
    text = text or video_job.get("status", {}).get("completionTime")
    return moment(text) if text else None


def has_ended(pod: Manifest) -> bool:
    """Tell whether a pod is over; one that never ran, being evicted or refused by its node, has no termination."""
    return termination(pod) is not None or pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}


def has_started(pod: Manifest) -> bool:
    """Tell whether the renderer's container runs or has run."""
    return not container_status(pod).get("state", {}).keys().isdisjoint({"running", "terminated"})


def waiting(pod: Manifest) -> Manifest | None:
    """Return why the renderer's container waits, None where it does not."""
    state: Manifest | None = container_status(pod).get("state", {}).get("waiting")
    return state


def last_words(pod: Manifest) -> TerminationMessage | None:
    """Return what the renderer said at its end."""
    ended = termination(pod)
    return TerminationMessage.decode(ended.get("message", "")) if ended else None


def progress_of(status: Manifest, pod: Manifest) -> dict[str, Any]:
    """Return the progress that this very pod wrote, empty where it wrote none."""
    progress: dict[str, Any] = status.get("progress", {})
    return progress if progress.get("podName") == pod["metadata"]["name"] else {}
