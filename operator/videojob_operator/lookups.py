"""Look up what is not watched: Events, Nodes, Kueue's Workloads. One list serves all jobs of a namespace for a while.

It is a courtesy to explain why a job waits: what may not be read, or is not installed, is left out, and a list that
fails leaves what was known.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from videojob_operator.client import Client
from videojob_operator.errors import Conflict, KubernetesUnavailable, Refused
from videojob_operator.evidence import NO_EVIDENCE, NOTHING_WANTED, Evidence, Wanted
from videojob_operator.manifests import Manifest, controller_uid
from videojob_operator.nodes import node_of

EVENTS_SECONDS = 5.0
WORKLOADS_SECONDS = 30.0
NODES_SECONDS = 30.0
KUEUE_VERSIONS = ("v1beta2", "v1beta1")  # from Kueue 0.15 on, and before
REFUSED_SECONDS = 600.0  # rights are seldom given while one waits for them

_WARNINGS = "type=Warning,reason!=FailedScheduling,involvedObject.kind!=VideoJob"


@dataclass(slots=True)
class _List:
    """What a list held, and until when it is good enough."""

    found: Any = None
    good_until: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Lookups:
    """Answers `Wanted`.

    Args:
        client: reads.
        monotonic: tells when a list is too old.
    """

    def __init__(self, client: Client, monotonic: Callable[[], float]) -> None:
        self._client = client
        self._monotonic = monotonic
        self._lists: dict[str, _List] = {}

    async def find(self, namespace: str, wanted: Wanted) -> Evidence:
        """Return what there is to find."""
        if wanted == NOTHING_WANTED:
            return NO_EVIDENCE
        events: tuple[Manifest, ...] = ()
        workload, nodes = None, None
        if wanted.events_of:
            path = f"/api/v1/namespaces/{namespace}/events"
            listed = await self._list(path, EVENTS_SECONDS, _by_object, fieldSelector=_WARNINGS)
            events = tuple((listed or {}).get(wanted.events_of, ()))
        if wanted.workload_of:
            workload = (await self._workloads(namespace)).get(wanted.workload_of)
        if wanted.nodes:
            nodes = await self._list("/api/v1/nodes", NODES_SECONDS, lambda items: tuple(map(node_of, items)))
        return Evidence(events, workload, nodes)

    async def _workloads(self, namespace: str) -> dict[str, Manifest]:
        """Return the Workloads by the uids of their Jobs, in the newest version that is served."""
        for version in KUEUE_VERSIONS:
            path = f"/apis/kueue.x-k8s.io/{version}/namespaces/{namespace}/workloads"
            found: dict[str, Manifest] | None = await self._list(path, WORKLOADS_SECONDS, _by_controller)
            if found is not None:
                return found
        return {}

    async def _list(self, path: str, seconds: float, digest: Callable[[list[Manifest]], Any], **parameters: str) -> Any:
        """Return the digest of a list; None where it may not be read."""
        kept = self._lists.setdefault(path, _List())
        async with kept.lock:  # who comes second finds what the first one read
            if self._monotonic() < kept.good_until:
                return kept.found
            try:
                kept.found = digest(await self._client.list_path(path, **parameters))
            except (Refused, Conflict):
                kept.found, seconds = None, REFUSED_SECONDS
            except KubernetesUnavailable:
                pass  # what was known is better than nothing
            kept.good_until = self._monotonic() + seconds
        return kept.found


def _by_object(events: Iterable[Manifest]) -> dict[str, list[Manifest]]:
    """Sort Events by the uid of the object they are about, oldest first, and keep of each what counts."""
    found: dict[str, list[Manifest]] = {}
    for event in sorted(events, key=lambda each: each.get("lastTimestamp") or each.get("eventTime") or ""):
        kept = {"reason": event.get("reason", ""), "message": event.get("message", "")}
        found.setdefault(event["involvedObject"].get("uid", ""), []).append(kept)
    return found


def _by_controller(workloads: Iterable[Manifest]) -> dict[str, Manifest]:
    return {uid: workload for workload in workloads if (uid := controller_uid(workload))}
