"""Events of Pods, for `kubectl describe` and for whoever diagnoses a Pod that does not run: the kubelet's own words.

They are told beside the work, never before it: a lost event harms nobody. What was told last of a Pod is not repeated.
"""

import asyncio
import logging

from videojob_local.node.client import ApiClient
from videojob_local.node.errors import ApiError
from videojob_local.node.manifest import Manifest, timestamp
from videojob_local.node.pod_run import PodRun

log = logging.getLogger(__name__)

_COMPONENT = "process-node"
_MESSAGE_CHARACTERS = 1000


class EventRecorder:
    """Posts events under the node's name."""

    def __init__(self, api: ApiClient, node: str) -> None:
        self._api = api
        self._node = node
        self._told: dict[str, tuple[str, str]] = {}
        self._posting: set[asyncio.Task[None]] = set()

    def normal(self, run: PodRun, reason: str, message: str) -> None:
        """Tell of something that is as it should be."""
        self._tell(run, "Normal", reason, message)

    def warning(self, run: PodRun, reason: str, message: str) -> None:
        """Tell of something that somebody should look at."""
        self._tell(run, "Warning", reason, message)

    def forget(self, run: PodRun) -> None:
        """Drop what is remembered of a Pod whose object is gone."""
        self._told.pop(run.uid, None)

    def close(self) -> None:
        """Give up the events that are still on their way."""
        for task in self._posting:
            task.cancel()

    def _tell(self, run: PodRun, kind: str, reason: str, message: str) -> None:
        if self._told.get(run.uid) == (reason, message):
            return
        self._told[run.uid] = (reason, message)
        task = asyncio.create_task(self._post(run, kind, reason, message[:_MESSAGE_CHARACTERS]))
        self._posting.add(task)
        task.add_done_callback(self._posting.discard)

    async def _post(self, run: PodRun, kind: str, reason: str, message: str) -> None:
        now = timestamp()
        event: Manifest = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{run.name}.", "namespace": run.namespace},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": run.namespace,
                "name": run.name,
                "uid": run.uid,
            },
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": _COMPONENT, "host": self._node},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            await self._api.call("POST", f"/api/v1/namespaces/{run.namespace}/events", event)
        except ApiError as error:  # such as: the namespace is being deleted
            log.debug("event of %s: %s", run.path, error)
