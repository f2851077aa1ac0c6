"""Writes the status of Pods: in order, with the state of now, and only where it changed.

There is no podIP: a process has no address of its own, and the controllers of Services refuse those of loopback with a
warning each time. Patches are strategic merges, so conditions written by others stay, and carry the uid, so an old
Pod's end never lands on a new Pod of the same name.
"""

import json
import logging

from videojob_local.node.client import STRATEGIC_PATCH, ApiClient
from videojob_local.node.errors import ApiError
from videojob_local.node.manifest import Manifest, timestamp
from videojob_local.node.pod_run import PodRun
from videojob_local.node.status import (
    TERMINAL_PHASES,
    condition_list,
    container_status,
    ended_unseen,
    updated_conditions,
    wanted_conditions,
)

log = logging.getLogger(__name__)

_GONE = (404, 409)  # the Pod is gone, or another one has its name


class StatusPublisher:
    """Patches Pods' statuses and confirms their deletion."""

    def __init__(self, api: ApiClient, address: str) -> None:
        self._api = api
        self._address = address
        self._published: dict[str, str] = {}

    async def publish(self, run: PodRun, phase: str, *, again: bool = False) -> None:
        """Write the status; a terminal phase never changes.

        Args:
            run: the Pod.
            phase: its phase from now on.
            again: also if it is what was written last: somebody else has changed it since.
        """
        if run.phase not in TERMINAL_PHASES:
            run.phase = phase
        async with run.publishing:
            status = self._status(run)
            text = json.dumps(status)
            if text == self._published.get(run.uid) and not again:
                return
            try:
                body = {"metadata": {"uid": run.uid}, "status": status}
                await self._api.call("PATCH", f"{run.path}/status", body, kind=STRATEGIC_PATCH)
                self._published[run.uid] = text
            except ApiError as error:
                level = logging.DEBUG if error.status in _GONE else logging.ERROR
                log.log(level, "status of %s: %s", run.path, error)

    async def confirm_deletion(self, run: PodRun) -> None:
        """Remove the object of a Pod whose deletion was asked for and whose processes have ended."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": run.uid},
        }
        try:
            await self._api.call("DELETE", run.path, body)
        except ApiError as error:
            if error.status not in _GONE:
                log.error("deletion of %s: %s", run.path, error)  # noqa: TRY400 - an answer, no crash

    def forget(self, run: PodRun) -> None:
        """Drop what is remembered of a Pod whose object is gone."""
        self._published.pop(run.uid, None)

    def _status(self, run: PodRun) -> Manifest:
        ending = None if run.phase == "Succeeded" else run.ending
        inits = [self._container(run, container) for container in run.spec.get("initContainers", [])]
        mains = [self._container(run, container) for container in run.spec["containers"]]
        wanted = wanted_conditions(mains[0], inits, ending)
        run.conditions = updated_conditions(run.conditions, wanted, timestamp())
        generation = run.metadata.get("generation")
        return {
            "phase": run.phase,
            "startTime": run.started_at,
            "hostIP": self._address,
            "hostIPs": [{"ip": self._address}],
            "conditions": condition_list(run.conditions, run.phase, ending, generation),
            "containerStatuses": mains,
            "initContainerStatuses": inits,
            "observedGeneration": generation,
            **({"reason": ending.reason, "message": ending.message} if ending else {}),
        }

    @staticmethod
    def _container(run: PodRun, container: Manifest) -> Manifest:
        record = run.record(container)
        if run.phase in TERMINAL_PHASES and "terminated" not in record.state:
            record.state = ended_unseen(run.ending, run.started_at, timestamp())
            record.ready = record.started = False
        return container_status(container, record)
