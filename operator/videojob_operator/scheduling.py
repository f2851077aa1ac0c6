"""Why the scheduler finds no node for a pod: from its own message, and from the nodes where they may be read.

The message counts nodes by what keeps them out, such as "0/3 nodes are available: 1 Insufficient nvidia.com/gpu,
2 node(s) didn't match Pod's node affinity/selector." It does not count GPUs; the nodes do.
"""

import re
from collections.abc import Sequence

from videojob.reasons import Reason
from videojob_operator.job import GPU
from videojob_operator.manifests import Manifest
from videojob_operator.nodes import (
    Node,
    count_by_product,
    fits,
    gpus_wanted,
    nodes_avoided,
    products_wanted,
    untolerated,
)

Verdict = tuple[Reason, str, str]

_AFTERTHOUGHTS = re.compile(r"\s*(?:no new claims to deallocate,)?\s*preemption: .*$|\s*no new claims to deallocate.*$")
_COUNTS = re.compile(r"(?:^0/\d+ nodes are available: |, )(?P<count>\d+) (?P<what>[^,]+)")

_TAINT = "untolerated taint"

_HINTS = {
    Reason.GPUS_TAKEN: "it starts when a GPU gets free; add nodes, or suspend or cancel other jobs",
    Reason.NO_MATCHING_NODE: "kubectl get nodes -L nvidia.com/gpu.product shows what there is: change the profile's"
    " gpuProducts, nodeSelector or affinity, or add such a node",
    Reason.NODES_TAINTED: "add a toleration to the profile, or take the taint off",
    Reason.VOLUME_UNAVAILABLE: "the claim must exist in the job's namespace and be bound: kubectl get pvc",
    Reason.UNSCHEDULABLE: "kubectl describe nodes shows what is allocated; lower the profile's resources or add nodes",
}


def why_no_node(pod: Manifest, message: str, nodes: Sequence[Node] | None) -> Verdict:
    """Return reason, sentence and hint.

    Args:
        pod: that has no node.
        message: the scheduler's.
        nodes: all nodes; None where they may not be read.
    """
    words = _AFTERTHOUGHTS.sub("", message).rstrip(".") or "no node was found for the pod yet"
    reason = _reason(words)
    if reason in _COUNTED and nodes is not None:
        reason, sentence = _counted(reason, pod, nodes)
    elif reason is Reason.NO_MATCHING_NODE and speaks_of_taints(words):
        return reason, f"{_UNTAINTED} ({words})", f"{_HINTS[reason]}; or {_HINTS[Reason.NODES_TAINTED]}"
    else:
        sentence = _SENTENCES[reason]
    return reason, f"{sentence} ({words})", _HINTS[reason]


_SENTENCES = {
    Reason.GPUS_TAKEN: "no node that fits has enough free GPUs",
    Reason.NO_MATCHING_NODE: "no node has the GPU model or the labels that the profile asks for",
    Reason.NODES_TAINTED: "the nodes that fit have taints which the profile does not tolerate",
    Reason.VOLUME_UNAVAILABLE: "a volume of the profile is not there",
    Reason.UNSCHEDULABLE: "no node has room",
}
_UNTAINTED = (
    "no node without taints has the GPU model or the labels that the profile asks for; whether a tainted one has them"
    " is told where operator.readNodes is on"
)
_COUNTED = {Reason.GPUS_TAKEN, Reason.NO_MATCHING_NODE, Reason.NODES_TAINTED}


def speaks_of_taints(words: str) -> bool:
    """Tell whether taints keep nodes out, of which the scheduler does not say whether they fit otherwise."""
    return _TAINT in words


def _reason(words: str) -> Reason:
    """Of all that keeps nodes out, name what a person would change or wait for first."""
    if "persistentvolumeclaim" in words.lower():
        return Reason.VOLUME_UNAVAILABLE
    obstacles = [match["what"] for match in _COUNTS.finditer(words)]
    labels = [each for each in obstacles if "affinity" in each or "selector" in each]
    taints = [each for each in obstacles if _TAINT in each]
    if any(f"Insufficient {GPU}" in each for each in obstacles):
        return Reason.GPUS_TAKEN
    if any("Insufficient" in each or "were unschedulable" in each or "Too many pods" in each for each in obstacles):
        return Reason.UNSCHEDULABLE
    if taints and not labels:
        return Reason.NODES_TAINTED
    if labels and len(labels) + len(taints) == len(obstacles):
        return Reason.NO_MATCHING_NODE
    return Reason.UNSCHEDULABLE


def _counted(reason: Reason, pod: Manifest, nodes: Sequence[Node]) -> tuple[Reason, str]:
    """Count the GPUs that exist, and say which of them could serve."""
    wanted, fitting = gpus_wanted(pod), [node for node in nodes if fits(pod, node)]
    count = sum(node.gpus for node in nodes)
    exist = f"{_gpus(count)} {'exists' if count == 1 else 'exist'} on {_nodes(nodes)}"
    if not fitting:
        return Reason.NO_MATCHING_NODE, f"{_asked_for(pod)}; there are {_inventory(nodes)}"
    open_to_us = [node for node in fitting if not untolerated(pod, node)]
    if not open_to_us:
        taints = sorted({taint for node in fitting for taint in untolerated(pod, node)})
        return Reason.NODES_TAINTED, f"the profile does not tolerate {', '.join(taints)} of the nodes that fit"
    if reason is not Reason.GPUS_TAKEN:
        return reason, _SENTENCES[reason]
    most = max(node.gpus for node in open_to_us)
    if most < wanted:
        return Reason.NO_MATCHING_NODE, f"{_gpus(wanted)} wanted on one node, and none that fits has more than {most}"
    big_enough = [node for node in open_to_us if node.gpus >= wanted]
    fit = f"{_gpus(sum(node.gpus for node in big_enough))} on {_nodes(big_enough)} would do"
    free = "none of these is free" if wanted == 1 else f"no node has {wanted} of them free"
    return reason, f"{exist}, {fit}, {free}"


def _asked_for(pod: Manifest) -> str:
    if avoided := nodes_avoided(pod):
        return f"no node fits but {', '.join(avoided)}, where a GPU failed under this job"
    products = products_wanted(pod)
    if products:
        return f"no node that fits has the GPU model {' or '.join(products)}"
    selector = pod["spec"].get("nodeSelector") or {}
    labels = ", ".join(f"{key}={value}" for key, value in selector.items())
    return f"no node has the labels {labels}" if labels else _SENTENCES[Reason.NO_MATCHING_NODE]


def _inventory(nodes: Sequence[Node]) -> str:
    counts = count_by_product(nodes)
    listed = ", ".join(f"{count} x {product or 'GPUs without a label'}" for product, count in sorted(counts.items()))
    return listed or f"no GPUs on {_nodes(nodes)}"


def _gpus(count: int) -> str:
    return f"{count} GPU" if count == 1 else f"{count} GPUs"


def _nodes(nodes: Sequence[Node]) -> str:
    return "1 node" if len(nodes) == 1 else f"{len(nodes)} nodes"
