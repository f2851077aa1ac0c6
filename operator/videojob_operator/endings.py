"""How a pod ended: one reason, one sentence, one hint, and whether it counts against the job.

The renderer's last words win over what Kubernetes says, because the renderer knows what it was doing.
"""

from videojob.exits import ExitCode
from videojob.reasons import Reason
from videojob_operator.diagnosis import Diagnosis
from videojob_operator.job import FINAL_EXIT_CODES
from videojob_operator.manifests import Manifest, true_condition
from videojob_operator.observed import has_ended, last_words, termination

_OF_EXIT_CODE = {
    ExitCode.INVALID_REQUEST: (Reason.INVALID_REQUEST, "the renderer refused the request"),
    ExitCode.CONTENT_REFUSED: (Reason.CONTENT_REFUSED, "a content policy refused the request"),
    ExitCode.GPU_FAULT: (Reason.GPU_FAULT, "CUDA or the GPU failed"),
    ExitCode.INTERRUPTED: (Reason.INTERRUPTED, "the pod was asked to stop"),
    ExitCode.OUT_OF_MEMORY: (Reason.OUT_OF_MEMORY, "the pod was killed, most likely for lack of memory"),
}
_HINTS = {
    Reason.OUT_OF_MEMORY: "raise the memory limit of the profile; for the GPU's memory ask for fewer frames",
    Reason.GPU_FAULT: "see kubectl logs for CUDA's words; a driver older than the image's CUDA is the usual cause",
    Reason.WEIGHTS_UNAVAILABLE: "check the model's source in the catalogue, HF_TOKEN, and the volume of the weights",
    Reason.STORAGE_UNAVAILABLE: "check storage.endpoint, the bucket, its policy and the keys",
    Reason.DISK_FULL: "raise ephemeral-storage of the profile",
    Reason.EVICTED: "give the profile requests for memory and ephemeral-storage that fit what a render needs",
    Reason.NON_FINITE_LATENTS: "use bfloat16 for this model, or another seed",
    Reason.DEADLINE_EXCEEDED: "raise activeDeadlineSeconds, or ask for fewer steps or frames",
    Reason.RENDERER_FAILED: "see kubectl logs of the Job",
}
_DISRUPTIONS = {
    "PreemptionByScheduler": "a pod of higher priority took its place",
    "EvictionByEvictionAPI": "its node is being drained",
    "DeletionByTaintManager": "its node got a taint, or does not answer",
    "DeletionByPodGC": "its node is gone",
    "TerminationByKubelet": "its node shut down or protected itself",
}


def why_ended(pod: Manifest) -> Diagnosis | None:
    """Say why a pod ended early, or is made to; None where it is not."""
    if overran(pod):
        return _hinted(Reason.DEADLINE_EXCEEDED, "the run took longer than activeDeadlineSeconds")
    disruption = true_condition(pod, "DisruptionTarget")
    if disruption and not was_refused(pod):
        return _disrupted(pod, disruption)
    ended = termination(pod)
    if ended is None or ended["exitCode"] == ExitCode.OK:
        return _without_container(pod)
    if words := last_words(pod):
        return _hinted(_known(words.reason), words.message)
    return _silent(ended)


def _silent(ended: Manifest) -> Diagnosis:
    """The renderer said nothing: the exit code speaks."""
    if ended.get("reason") == "OOMKilled":
        return _hinted(Reason.OUT_OF_MEMORY, "the pod ran out of memory")
    code = ended["exitCode"]
    if code in _OF_EXIT_CODE:
        return _hinted(*_OF_EXIT_CODE[ExitCode(code)])
    detail = f": {ended['message']}" if ended.get("message") else ""
    return _hinted(Reason.RENDERER_FAILED, f"the renderer ended with exit code {code}{detail}"[:1000])


def overran(pod: Manifest) -> bool:
    """Tell whether the kubelet ended a pod for its activeDeadlineSeconds."""
    status: Manifest = pod.get("status", {})
    return bool(status.get("phase") == "Failed" and status.get("reason") == "DeadlineExceeded")


def was_refused(pod: Manifest) -> bool:
    """Tell whether the renderer ended with a code that no other pod would change, whatever else befell its pod."""
    ended = termination(pod)
    return ended is not None and ended["exitCode"] in FINAL_EXIT_CODES


def was_interrupted(pod: Manifest) -> bool:
    """Tell whether a pod has ended in a way that the Job's podFailurePolicy does not count."""
    if not has_ended(pod) or overran(pod) or was_refused(pod):
        return False
    ended = termination(pod)
    interrupted = ended is not None and ended["exitCode"] == ExitCode.INTERRUPTED
    return interrupted or true_condition(pod, "DisruptionTarget") is not None


def has_failed(pod: Manifest) -> bool:
    """Tell whether a pod has ended in a way that counts against backoffLimit."""
    return pod.get("status", {}).get("phase") == "Failed" and not was_interrupted(pod)


def hit_gpu_fault(pod: Manifest) -> bool:
    """Tell whether the GPU of a pod's node failed under it."""
    ended = termination(pod)
    return ended is not None and ended["exitCode"] == ExitCode.GPU_FAULT


def _disrupted(pod: Manifest, disruption: Manifest) -> Diagnosis:
    status = pod.get("status", {})
    if status.get("reason") == "Evicted":
        return _hinted(Reason.EVICTED, status.get("message") or "the node ended the pod to protect itself")
    told = _DISRUPTIONS.get(disruption.get("reason", ""), "the pod was disrupted")
    words = disruption.get("message")
    return Diagnosis(Reason.INTERRUPTED, f"{told}: {words}" if words else told)


def _without_container(pod: Manifest) -> Diagnosis | None:
    """A pod may fail without its container having run: evicted, or refused by the node."""
    status = pod.get("status", {})
    if status.get("phase") != "Failed":
        return None
    reason = Reason.EVICTED if status.get("reason") == "Evicted" else Reason.RENDERER_FAILED
    return _hinted(reason, status.get("message") or status.get("reason") or "the pod failed")


def _hinted(reason: Reason, message: str) -> Diagnosis:
    return Diagnosis(reason, message, _HINTS.get(reason, ""))


def _known(word: str) -> Reason:
    """A newer renderer may use words that this operator does not have."""
    try:
        return Reason(word)
    except ValueError:
        return Reason.RENDERER_FAILED
