"""Nodes, as far as they tell whether a pod could ever run on them: GPUs, labels, taints."""

from collections.abc import Iterable
from dataclasses import dataclass

from videojob_operator.job import GPU, GPU_PRODUCT_LABEL
from videojob_operator.manifests import Manifest


@dataclass(frozen=True, slots=True)
class Node:
    """What is kept of a Node: the object itself has some 20 KB, its list of images most of it.

    Attributes:
        gpus: allocatable ones, free or not.
        taints: as `key=value:effect`, those that keep pods away.
    """

    name: str
    labels: dict[str, str]
    gpus: int
    taints: tuple[Manifest, ...]

    @property
    def product(self) -> str:
        """The GPU model that GPU feature discovery found."""
        return self.labels.get(GPU_PRODUCT_LABEL, "")


def node_of(manifest: Manifest) -> Node:
    """Keep of a Node what counts."""
    meta, allocatable = manifest["metadata"], manifest.get("status", {}).get("allocatable", {})
    taints = tuple(t for t in manifest.get("spec", {}).get("taints") or [] if t["effect"] != "PreferNoSchedule")
    return Node(meta["name"], meta.get("labels", {}), int(allocatable.get(GPU, 0)), taints)


def gpus_wanted(pod: Manifest) -> int:
    """Return how many GPUs a pod asks for."""
    containers = pod["spec"]["containers"]
    return sum(int(each.get("resources", {}).get("limits", {}).get(GPU, 0)) for each in containers)


def products_wanted(pod: Manifest) -> list[str]:
    """Return the GPU models a pod may run on, empty for any."""
    return [
        value
        for term in _terms(pod)
        for rule in term.get("matchExpressions") or []
        if rule["key"] == GPU_PRODUCT_LABEL and rule["operator"] == "In"
        for value in rule["values"]
    ]


def nodes_avoided(pod: Manifest) -> list[str]:
    """Return the nodes a pod must not run on."""
    names = [
        name
        for term in _terms(pod)
        for rule in term.get("matchFields") or []
        if rule["operator"] == "NotIn"
        for name in rule["values"]
    ]
    return list(dict.fromkeys(names))


def fits(pod: Manifest, node: Node) -> bool:
    """Tell whether a pod's node selector and node affinity select a node; room and taints are left aside."""
    selector: dict[str, str] = pod["spec"].get("nodeSelector") or {}
    if any(node.labels.get(key) != value for key, value in selector.items()):
        return False
    terms = _terms(pod)
    return not terms or any(_selects(term, node) for term in terms)


def untolerated(pod: Manifest, node: Node) -> list[str]:
    """Return the taints of a node that a pod does not tolerate, as kubectl writes them."""
    tolerations: list[Manifest] = pod["spec"].get("tolerations") or []
    return [_written(taint) for taint in node.taints if not any(_tolerates(each, taint) for each in tolerations)]


def count_by_product(nodes: Iterable[Node]) -> dict[str, int]:
    """Count GPUs by model; those of unlabelled nodes under an empty name."""
    counts: dict[str, int] = {}
    for node in nodes:
        if node.gpus:
            counts[node.product] = counts.get(node.product, 0) + node.gpus
    return counts


def _terms(pod: Manifest) -> list[Manifest]:
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    terms: list[Manifest] = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get(
        "nodeSelectorTerms"
    ) or []
    return terms


def _selects(term: Manifest, node: Node) -> bool:
    """One term: all its expressions and fields must hold."""
    labels = all(_holds(rule, node.labels.get(rule["key"])) for rule in term.get("matchExpressions") or [])
    return labels and all(_holds(rule, node.name) for rule in term.get("matchFields") or [])


def _holds(rule: Manifest, value: str | None) -> bool:
    values: list[str] = rule.get("values") or []
    match rule["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    if value is None or not value.lstrip("-").isdigit():  # Gt and Lt compare whole numbers
        return False
    return int(value) > int(values[0]) if rule["operator"] == "Gt" else int(value) < int(values[0])


def _tolerates(toleration: Manifest, taint: Manifest) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("key") not in (None, "", taint["key"]):
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")


def _written(taint: Manifest) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"
