"""Why a pod does not run, or how it ended: one reason of the stable catalogue and one sentence.

Pure functions of the Pod's own JSON. The renderer's last words win over what Kubernetes says, because the renderer
knows what it was doing.
"""

from typing import NamedTuple

from videojob.exits import ExitCode
from videojob.reasons import Reason
from videojob_operator.manifests import Manifest, true_condition
from videojob_operator.observed import last_words, termination, waiting

_IMAGE_REASONS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
_CONFIG_REASONS = {"CreateContainerConfigError", "CreateContainerError"}

_OF_EXIT_CODE = {
    ExitCode.INVALID_REQUEST: (Reason.INVALID_REQUEST, "the renderer refused the request"),
    ExitCode.CONTENT_REFUSED: (Reason.CONTENT_REFUSED, "a content policy refused the request"),
    ExitCode.GPU_FAULT: (Reason.GPU_FAULT, "CUDA or the GPU failed"),
    ExitCode.INTERRUPTED: (Reason.INTERRUPTED, "the pod was asked to stop"),
    ExitCode.OUT_OF_MEMORY: (Reason.OUT_OF_MEMORY, "the pod was killed, most likely for lack of memory"),
}


class Diagnosis(NamedTuple):
    """A reason and a sentence."""

    reason: Reason
    message: str


def why_not_running(pod: Manifest) -> Diagnosis | None:
    """Say why a pending pod does not run; None where nothing is wrong so far."""
    conditions: list[Manifest] = pod.get("status", {}).get("conditions") or []
    for condition in conditions:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return Diagnosis(Reason.UNSCHEDULABLE, condition.get("message") or "no node was found for the pod yet")
    state = waiting(pod) or {}
    reason, message = state.get("reason"), state.get("message", "")
    if reason in _IMAGE_REASONS:
        return Diagnosis(Reason.IMAGE_PULL_FAILED, message or "the renderer image cannot be pulled")
    if reason in _CONFIG_REASONS:
        return Diagnosis(Reason.CONTAINER_CONFIG_ERROR, message or "something the pod refers to is missing")
    return None


def why_ended(pod: Manifest) -> Diagnosis | None:
    """Say why a pod ended early; None where it did not."""
    if disruption := true_condition(pod, "DisruptionTarget"):
        return Diagnosis(Reason.INTERRUPTED, disruption.get("message") or "the pod was disrupted")
    ended = termination(pod)
    if ended is None or ended["exitCode"] == ExitCode.OK:
        return _without_container(pod)
    if words := last_words(pod):
        return Diagnosis(_known(words.reason), words.message)
    if ended.get("reason") == "OOMKilled":
        return Diagnosis(Reason.OUT_OF_MEMORY, "the pod ran out of memory; raise its limit in the profile")
    code = ended["exitCode"]
    if code in _OF_EXIT_CODE:
        return Diagnosis(*_OF_EXIT_CODE[ExitCode(code)])
    detail = f": {ended['message']}" if ended.get("message") else ""
    return Diagnosis(Reason.RENDERER_FAILED, f"the renderer ended with exit code {code}{detail}"[:1000])


def _without_container(pod: Manifest) -> Diagnosis | None:
    """A pod may fail without its container having run: evicted, refused by the node, deadline passed."""
    status = pod.get("status", {})
    if status.get("phase") != "Failed":
        return None
    return Diagnosis(Reason.RENDERER_FAILED, status.get("message") or status.get("reason") or "the pod failed")


def _known(word: str) -> Reason:
    """A newer renderer may use words that this operator does not have."""
    try:
        return Reason(word)
    except ValueError:
        return Reason.RENDERER_FAILED
