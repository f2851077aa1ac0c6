"""Why a job does not run is told in one sentence, with one reason and one hint, from what a real cluster says.

Files under tests/data/operator/captured come from a real control plane; what only a kubelet or a registry says is
written here in their words.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.operator import worlds as w
from tests.operator.worlds import Manifest, ended, job, pod

from videojob_operator.diagnosis import diagnose
from videojob_operator.endings import has_failed, hit_gpu_fault, was_interrupted, why_ended
from videojob_operator.evidence import Evidence
from videojob_operator.nodes import Node, node_of
from videojob_operator.refusals import why_refused

CAPTURED = Path(__file__).resolve().parents[1] / "data/operator/captured"


def captured(name: str) -> Any:
    return json.loads((CAPTURED / f"{name}.json").read_text())


def captured_nodes(**changes: Any) -> tuple[Node, ...]:
    """Return both nodes, test-1 with another GPU label or taints where asked for."""
    nodes = captured("nodes")
    for node in nodes:
        if node["metadata"]["name"] == "test-1":
            node["metadata"]["labels"]["nvidia.com/gpu.product"] = changes.get("product", "NVIDIA-H100-PCIe")
            node["spec"]["taints"] = changes.get("taints", [])
    return tuple(map(node_of, nodes))


DEDICATED = [{"key": "dedicated", "value": "training", "effect": "NoSchedule"}]

WITHOUT_NODES = [
    # file, reason, words of the sentence
    ("gpus-taken", "GpusTaken", "no node that fits has enough free GPUs (0/2 nodes are available: 1 Insufficient"),
    ("too-many-gpus", "GpusTaken", "2 Insufficient nvidia.com/gpu)"),
    ("mixed", "GpusTaken", "1 node(s) had untolerated taint(s))"),
    ("no-node-selector", "NoMatchingNode", "no node has the GPU model or the labels that the profile asks for"),
    ("avoided", "NoMatchingNode", "didn't match Pod's node affinity/selector)"),
    ("tainted", "NoMatchingNode", "whether a tainted one has them is told where operator.readNodes is on"),
    ("memory", "Unschedulable", "2 Insufficient memory)"),
    ("cordoned", "Unschedulable", "1 node(s) were unschedulable)"),
    ("no-claim", "VolumeUnavailable", 'persistentvolumeclaim "models" not found'),
    ("unbound-claim", "VolumeUnavailable", "unbound immediate PersistentVolumeClaims"),
    ("no-secret-env", "ContainerConfigError", 'secrets "videojob-storage" not found'),
    ("no-key", "ContainerConfigError", "couldn't find key token"),
]


def test_where_taints_alone_keep_nodes_out_they_are_named() -> None:
    waiting = captured("tainted")["pod"]
    (condition,) = waiting["status"]["conditions"]
    condition["message"] = "0/2 nodes are available: 2 node(s) had untolerated taint(s)."
    why = diagnose(waiting, job())
    assert why
    assert (why.reason, why.hint) == ("NodesTainted", "add a toleration to the profile, or take the taint off")


@pytest.mark.parametrize(("name", "reason", "words"), WITHOUT_NODES)
def test_a_waiting_pod_is_explained_from_the_pod_alone(name: str, reason: str, words: str) -> None:
    why = diagnose(captured(name)["pod"], job())
    assert why
    assert why.reason == reason
    assert words in why.message
    assert why.hint


WITH_NODES: list[tuple[str, dict[str, Any], str, str]] = [
    ("gpus-taken", {}, "GpusTaken", "3 GPUs exist on 2 nodes, 1 GPU on 1 node would do, none of these is free"),
    ("too-many-gpus", {}, "NoMatchingNode", "8 GPUs wanted on one node, and none that fits has more than 2"),
    (
        "no-node-selector",
        {},
        "NoMatchingNode",
        "no node has the labels pool=nowhere; there are 2 x NVIDIA-H100-80GB-HBM3, 1 x NVIDIA-H100-PCIe",
    ),
    ("gpus-taken", {"product": "NVIDIA-L4"}, "NoMatchingNode", "has the GPU model NVIDIA-H100-PCIe; there are"),
    ("tainted", {"taints": DEDICATED}, "NodesTainted", "does not tolerate dedicated=training:NoSchedule of the nodes"),
    ("avoided", {}, "NoMatchingNode", "no node fits but test-1, where a GPU failed under this job"),
]


@pytest.mark.parametrize(("name", "changes", "reason", "words"), WITH_NODES)
def test_where_nodes_may_be_read_gpus_are_counted(name: str, changes: Manifest, reason: str, words: str) -> None:
    why = diagnose(captured(name)["pod"], job(), Evidence(nodes=captured_nodes(**changes)))
    assert why
    assert why.reason == reason
    assert words in why.message


def test_a_node_is_fit_or_not_by_all_rules_of_one_term() -> None:
    rules = [
        {"key": "zone", "operator": "Exists"},
        {"key": "spot", "operator": "DoesNotExist"},
        {"key": "driver", "operator": "Gt", "values": ["550"]},
        {"key": "age", "operator": "Lt", "values": ["5"]},
        {"key": "pool", "operator": "NotIn", "values": ["training"]},
    ]
    terms = [
        {"matchExpressions": rules},
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["x"]}]},
    ]
    waiting = pod(node=None, conditions=[UNPLACED])
    waiting["spec"] = {
        "containers": [{"name": "renderer", "resources": {"limits": {"nvidia.com/gpu": "1"}}}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}},
        "tolerations": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}],
    }
    gpu = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
    good = {"zone": "a", "driver": "580", "age": "3", "pool": "render"}

    def reason(labels: dict[str, str], name: str = "n", taint: Manifest = gpu) -> str:
        why = diagnose(waiting, job(), Evidence(nodes=(Node(name, labels, 1, (taint,)),)))
        return why.reason if why else ""

    assert reason(good) == "GpusTaken"
    assert reason({}, name="x") == "GpusTaken"
    for wrong in ({"spot": "yes"}, {"driver": "550"}, {"driver": "new"}, {"age": "7"}, {"pool": "training"}):
        assert reason(good | wrong) == "NoMatchingNode"
    assert reason({key: value for key, value in good.items() if key != "zone"}) == "NoMatchingNode"
    for taint in ({"value": "no"}, {"effect": "NoExecute"}, {"key": "other"}):
        assert reason(good, taint=gpu | taint) == "NodesTainted"


UNPLACED = {
    "type": "PodScheduled",
    "status": "False",
    "message": "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. preemption: 0/1 nodes are available.",
}

FROM_EVENTS = [
    ("quota-pods", "QuotaExceeded", "the cluster refused the pod: pods", "limited: requests.nvidia.com/gpu=1"),
    ("pod-security", "PolicyRefused", 'violates PodSecurity "restricted:latest"', "allowPrivilegeEscalation"),
    ("policy-pod", "PolicyRefused", "ValidatingAdmissionPolicy", "images must come from registry.example.com"),
    ("no-priority-class", "JobRejected", "no PriorityClass with name rendering", "was found"),
    ("no-account", "JobRejected", 'serviceaccount "videojob-renderer" not found', ""),
    ("no-runtime-class", "JobRejected", 'RuntimeClass "nvidia" not found', ""),
]


@pytest.mark.parametrize(("name", "reason", "words", "more"), FROM_EVENTS)
def test_a_job_without_a_pod_is_explained_by_its_events(name: str, reason: str, words: str, more: str) -> None:
    found = captured(name)
    assert diagnose(None, found["job"]) is None
    why = diagnose(None, found["job"], Evidence(events=tuple(found["events"])))
    assert why
    assert why.reason == reason
    assert words in why.message
    assert more in why.message
    assert why.hint


@pytest.mark.parametrize(("name", "reason"), [("quota-jobs", "QuotaExceeded"), ("policy-job", "PolicyRefused")])
def test_a_refused_job_is_explained_by_the_answer_itself(name: str, reason: str) -> None:
    said, sentence, hint = why_refused(captured(name)["message"], "the Job")
    assert said == reason
    assert sentence.startswith("the cluster refused the Job: ")
    assert hint


def test_an_unheard_of_refusal_keeps_the_cluster_s_words() -> None:
    assert why_refused("spec.template: Invalid value", "the Job")[:2] == (
        "JobRejected",
        "the cluster refused the Job: spec.template: Invalid value",
    )


def test_a_volume_that_cannot_be_mounted_is_explained_by_events_where_the_kubelet_says_nothing_in_the_pod() -> None:
    found = captured("no-secret-volume")
    assert 'secrets "weights-key" not found' in (diagnose(found["pod"], job()) or ("", ""))[1]
    del found["pod"]["status"]["containerStatuses"][0]["state"]["waiting"]["message"]  # as a kubelet writes it
    assert diagnose(found["pod"], job()) is None
    why = diagnose(found["pod"], job(), Evidence(events=tuple(found["events"])))
    assert why
    assert why.reason == "VolumeUnavailable"
    assert 'secrets "weights-key" not found' in why.message


IMAGE = "registry.example.com/video/videojob-renderer:9"
RESOLVE = f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": '
IMAGES = [
    # waiting reason, what containerd, CRI-O or a registry says, reason
    ("ErrImagePull", f"rpc error: code = NotFound desc = {RESOLVE}{IMAGE}: not found", "ImageNotFound"),
    ("ErrImagePull", "reading manifest 9 in registry.example.com/x: manifest unknown", "ImageNotFound"),
    (
        "ErrImagePull",
        (
            f"{RESOLVE}pull access denied, repository does not exist or may require authorization: server message:"
            " insufficient_scope: authorization failed"
        ),
        "ImagePullDenied",
    ),
    (
        "ErrImagePull",
        (
            f"{RESOLVE}failed to authorize: failed to fetch anonymous token: unexpected status from GET request to"
            " https://registry.example.com/token: 401 Unauthorized"
        ),
        "ImagePullDenied",
    ),
    (
        "ErrImagePull",
        f"{RESOLVE}unexpected status code 403 Forbidden",
        "ImagePullDenied",
    ),
    (
        "ImagePullBackOff",
        (
            f'Back-off pulling image "{IMAGE}": ErrImagePull: {RESOLVE}unexpected status from HEAD request: 429 Too Many'
            " Requests - Server message: toomanyrequests: You have reached your unauthenticated pull rate limit."
        ),
        "ImagePullRateLimited",
    ),
    (
        "ErrImagePull",
        f"{RESOLVE}failed to do request: Head: dial tcp: lookup registry.example.com: no such host",
        "ImagePullFailed",
    ),
    ("InvalidImageName", 'Failed to apply default image tag "Up:": couldn\'t parse image name', "ImagePullFailed"),
]


def unpullable(reason: str, message: str) -> Manifest:
    waiting = pod(state=w.waiting_for(reason, message))
    waiting["spec"]["containers"] = [{"name": "renderer", "image": IMAGE}]
    return waiting


@pytest.mark.parametrize(("waits_for", "message", "reason"), IMAGES)
def test_an_image_that_cannot_be_pulled_is_told_apart(waits_for: str, message: str, reason: str) -> None:
    why = diagnose(unpullable(waits_for, message), job())
    assert why
    assert why.reason == reason
    assert why.message.startswith(f"the image {IMAGE} cannot be pulled: ")
    assert "Back-off" not in why.message
    assert why.hint


def test_while_an_old_kubelet_backs_off_the_cause_is_found_in_its_events() -> None:
    waiting = unpullable("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"')
    assert (diagnose(waiting, job()) or ("",))[0] == "ImagePullFailed"
    failed = {"reason": "Failed", "message": f'Failed to pull image "{IMAGE}": rpc error: manifest unknown'}
    why = diagnose(waiting, job(), Evidence(events=(failed, {"reason": "Failed", "message": "Error: ErrImage"})))
    assert why
    assert why.reason == "ImageNotFound"


def workload(**conditions: tuple[str, str]) -> Manifest:
    listed = [{"type": kind, "status": status, "message": text} for kind, (status, text) in conditions.items()]
    return {"status": {"conditions": listed}}


def test_a_job_in_kueue_s_queue_says_what_kueue_says() -> None:
    suspended = job(suspend=True, Suspended="JobSuspended")
    pending = "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu in flavor h100"
    assert "Suspended because" in (diagnose(None, suspended) or ("", ""))[1]
    why = diagnose(None, suspended, Evidence(workload=workload(QuotaReserved=("False", pending))))
    assert why
    assert (why.reason, why.message) == ("Suspended", f"waits in the cluster's queue: {pending}")
    admitted = workload(QuotaReserved=("True", "reserved"), Evicted=("True", "Preempted to accommodate a workload"))
    assert "Preempted" in (diagnose(None, suspended, Evidence(workload=admitted)) or ("", ""))[1]


WORDS = '{"reason": "StorageUnavailable", "message": "S3 refused the upload: AccessDenied"}'
LOW_ON_DISK = "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 9Gi."
BY_KUBELET = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet", "message": "low"}
ENDS = [
    # the pod, reason, words, free of charge
    (captured("evicted")["pod"], "Interrupted", "its node is being drained: Eviction API: evicting", True),
    (captured("deadline")["pod"], "DeadlineExceeded", "longer than activeDeadlineSeconds", False),
    (pod(phase="Failed", state=ended(1, WORDS)), "StorageUnavailable", "AccessDenied", False),
    (pod(phase="Failed", state=ended(137, reason="OOMKilled")), "OutOfMemory", "ran out of memory", False),
    (pod(phase="Failed", state=ended(137)), "OutOfMemory", "killed", False),
    (pod(phase="Failed", state=ended(70)), "GpuFault", "CUDA", False),
    (pod(phase="Failed", state=ended(64)), "InvalidRequest", "refused", False),
    (pod(phase="Failed", state=ended(65)), "ContentRefused", "policy", False),
    (pod(phase="Failed", state=ended(64), conditions=[BY_KUBELET]), "InvalidRequest", "refused", False),
    (pod(phase="Failed", state=ended(75)), "Interrupted", "asked to stop", True),
    (pod(phase="Failed", state=ended(2, "Traceback")), "RendererFailed", "exit code 2: Traceback", False),
    (pod(phase="Failed", state=ended(1, '{"reason": "New", "message": "x"}')), "RendererFailed", "x", False),
    (
        {**pod(phase="Failed", message=LOW_ON_DISK, conditions=[BY_KUBELET])},
        "Interrupted",
        "its node shut down or protected itself: low",
        True,
    ),
    (pod(phase="Failed", message="Pod was rejected: UnexpectedAdmissionError"), "RendererFailed", "rejected", False),
]


@pytest.mark.parametrize(("over", "reason", "words", "free"), ENDS)
def test_an_end_is_explained_and_counted_or_not(over: Manifest, reason: str, words: str, free: bool) -> None:
    why = why_ended(over)
    assert why
    assert why.reason == reason
    assert words in why.message
    assert (was_interrupted(over), has_failed(over)) == (free, not free)
    assert hit_gpu_fault(over) == (reason == "GpuFault")


def test_an_eviction_by_the_kubelet_says_what_the_node_was_short_of() -> None:
    evicted = pod(phase="Failed", message=LOW_ON_DISK, conditions=[BY_KUBELET])
    evicted["status"]["reason"] = "Evicted"
    why = why_ended(evicted)
    assert why
    assert (why.reason, why.message) == ("Evicted", LOW_ON_DISK)
    assert was_interrupted(evicted)


def test_what_runs_or_has_ended_well_needs_no_explanation() -> None:
    assert why_ended(pod(phase="Running", state=w.RUNNING)) is None
    assert why_ended(pod(phase="Succeeded", state=ended(0))) is None
    assert diagnose(pod(), job()) is None
    assert diagnose(None, job()) is None
