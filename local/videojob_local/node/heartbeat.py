"""Keeps the Node object there, Ready and its Lease fresh, as a kubelet does.

Both are needed: the Lease shows that the node is alive, but after a gap of 40 s and more only a post of the status
makes a node that was declared lost Ready again.
"""

import asyncio
import logging
import time

from videojob_local.node.client import MERGE_PATCH, STRATEGIC_PATCH, ApiClient
from videojob_local.node.config import NodeConfig
from videojob_local.node.errors import ApiError
from videojob_local.node.machine import Machine
from videojob_local.node.manifest import Manifest, micro_timestamp, timestamp

log = logging.getLogger(__name__)

_BEAT_SECONDS = 10
_AGAIN_SECONDS = 1
_STATUS_SECONDS = 300
_LEASE_SECONDS = 40
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class Heartbeat:
    """The Node object and the Lease of one node."""

    def __init__(self, config: NodeConfig, machine: Machine, api: ApiClient) -> None:
        self._config = config
        self._machine = machine
        self._api = api
        self._path = f"/api/v1/nodes/{config.name}"
        self._posted = float("-inf")

    async def beat(self) -> None:
        """Beat for ever."""
        while True:
            pause = _BEAT_SECONDS
            try:
                await self._once()
            except ApiError as error:  # such as: the namespace of the Leases is not there yet
                log.warning("heartbeat: %s", error)
                pause = _AGAIN_SECONDS
            await asyncio.sleep(pause)

    async def say_not_ready(self) -> None:
        """Mark the node NotReady, so that nothing more is bound to it."""
        await self._post_status(ready=False, was_ready=True)

    async def _once(self) -> None:
        node = await self._ensure_node()
        status = node.get("status", {})
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))
        changed = status.get("capacity") != self._machine.capacity
        if not ready or changed or time.monotonic() - self._posted > _STATUS_SECONDS:
            await self._post_status(ready=True, was_ready=ready)
            self._posted = time.monotonic()
        await self._renew_lease(node["metadata"]["uid"])

    async def _ensure_node(self) -> Manifest:
        labels = self._machine.labels
        try:
            node = await self._api.call("GET", self._path)
        except ApiError as error:
            if error.status != 404:
                raise
            metadata = {"name": self._config.name, "labels": {k: v for k, v in labels.items() if v is not None}}
            return await self._api.call(
                "POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": metadata}
            )
        present = node["metadata"].get("labels", {})
        if any(present.get(label) != value for label, value in labels.items()):
            node = await self._api.call("PATCH", self._path, {"metadata": {"labels": labels}}, kind=MERGE_PATCH)
        return node

    async def _post_status(self, *, ready: bool, was_ready: bool) -> None:
        config, machine = self._config, self._machine
        status = {
            "capacity": machine.capacity,
            "allocatable": machine.capacity,
            "addresses": [
                {"type": "InternalIP", "address": config.address},
                {"type": "Hostname", "address": config.name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": config.port}},
            "nodeInfo": machine.info,
            "conditions": [
                _condition("Ready", ready, "AgentReady" if ready else "AgentStopping", changed=ready != was_ready),
                *(
                    _condition(kind, False, "NotMeasured", changed=not was_ready)
                    for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")
                ),
            ],
        }
        await self._api.call("PATCH", f"{self._path}/status", {"status": status}, kind=STRATEGIC_PATCH)

    async def _renew_lease(self, node_uid: str) -> None:
        name = self._config.name
        spec = {"holderIdentity": name, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": micro_timestamp()}
        try:
            await self._api.call("PATCH", f"{_LEASES}/{name}", {"spec": spec}, kind=MERGE_PATCH)
        except ApiError as error:
            if error.status != 404:
                raise
            owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node_uid}
            metadata = {"name": name, "ownerReferences": [owner]}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
            await self._api.call("POST", _LEASES, lease)


def _condition(kind: str, value: bool, reason: str, *, changed: bool) -> Manifest:
    return {
        "type": kind,
        "status": str(value),
        "reason": reason,
        "message": "process node",
        "lastHeartbeatTime": timestamp(),
        **({"lastTransitionTime": timestamp()} if changed else {}),
    }
