"""The life of a Pod: from the binding to its last status, and to the removal of its object where that was asked for.

Every life ends in a reported status: one that ended in silence would look like a fault of the scheduler.
"""

import asyncio
import logging
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime

from videojob_local.node.container_builder import ContainerBuilder
from videojob_local.node.container_life import ContainerLife
from videojob_local.node.errors import PodStopped, UnsupportedPod
from videojob_local.node.events import EventRecorder
from videojob_local.node.gpus import GpuPool, Gpus, gpus_of
from videojob_local.node.manifest import Manifest
from videojob_local.node.pod_run import Ending, PodRun
from videojob_local.node.publisher import StatusPublisher
from videojob_local.node.state import StateFolder
from videojob_local.node.validation import refuse_unsupported

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PodRunner:
    """Runs Pods with what the node has."""

    gpus: Gpus
    pool: GpuPool
    state: StateFolder
    builder: ContainerBuilder
    publisher: StatusPublisher
    events: EventRecorder
    address: str

    async def live(self, run: PodRun) -> None:
        """Run one Pod to its end."""
        phase = await self._outcome(run)
        for companion in run.companions:
            companion.cancel()
        await asyncio.to_thread(shutil.rmtree, run.folder / "volumes", ignore_errors=True)
        await self.publisher.publish(run, phase)
        self.state.forget(run.folder)
        if run.being_deleted and not run.object_gone:
            await self.publisher.confirm_deletion(run)

    async def _outcome(self, run: PodRun) -> str:
        """Run the containers; returns the Pod's last phase."""
        try:
            succeeded = not run.stop.is_set() and await self._containers(run) == 0
        except PodStopped:
            succeeded = False
        except Exception as error:
            log.exception("pod %s", run.path)
            run.end(Ending("AgentError", repr(error)[:500], fails=True))
            succeeded = False
        return "Succeeded" if succeeded and not (run.ending and run.ending.fails) else "Failed"

    async def _containers(self, run: PodRun) -> int:
        await self._refuse(run)
        run.companions.append(asyncio.create_task(_keep_deadline(run)))
        taken = await run.unless_stopped(self.pool.take(gpus_of(run.spec)))
        try:
            for container in [*run.spec.get("initContainers", []), run.main]:
                code = await self._container(run, container, taken)
                if code:
                    break
            return code
        finally:  # before the last status: from then on the scheduler gives the GPUs away again
            await self.pool.give_back(taken)

    async def _container(self, run: PodRun, container: Manifest, gpus: tuple[str, ...]) -> int:
        async def publish() -> None:
            started = any(run.record(c).container_id for c in run.spec["containers"])
            await self.publisher.publish(run, "Running" if started else "Pending")

        environment = self.gpus.environment(gpus)
        life = ContainerLife(
            run,
            container,
            self.state,
            address=self.address,
            events=self.events,
            build=lambda: self.builder.build(run, container, environment),
            publish=publish,
        )
        return await life.live()

    async def _refuse(self, run: PodRun) -> None:
        """Hold a Pod that this node can never run, with a status that says why, until it is deleted."""
        try:
            refuse_unsupported(run.spec)
        except UnsupportedPod as error:
            log.warning("pod %s: %s", run.path, error)
            self.events.warning(run, "UnsupportedPod", str(error))
            run.record(run.main).state = {"waiting": {"reason": "UnsupportedPod", "message": str(error)}}
            await self.publisher.publish(run, "Pending")
            await run.stop.wait()
            raise PodStopped from error


async def _keep_deadline(run: PodRun) -> None:
    """End the Pod when its activeDeadlineSeconds, counted from its start time, are over."""
    limit = run.spec.get("activeDeadlineSeconds")
    if limit is None:
        return
    age = (datetime.now(UTC) - datetime.fromisoformat(run.started_at)).total_seconds()
    await asyncio.sleep(limit - age)
    message = "Pod was active on the node longer than the specified deadline"
    run.end(Ending("DeadlineExceeded", message, fails=True))
