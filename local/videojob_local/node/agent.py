"""The node as a whole: its parts put together, its Pods watched, its end.

One asyncio process. The watch is the only source of work: each Pod it shows is a task that lives until the Pod has
ended.
"""

import asyncio
import logging
import os
import shutil
import signal
from collections.abc import Coroutine
from typing import Any

from videojob_local.node.client import ApiClient, Changed, Deleted, Listed
from videojob_local.node.config import NodeConfig
from videojob_local.node.container_builder import ContainerBuilder
from videojob_local.node.environment import EnvironmentResolver, inherited
from videojob_local.node.events import EventRecorder
from videojob_local.node.gpus import GpuPool, find_gpus
from videojob_local.node.heartbeat import Heartbeat
from videojob_local.node.log_server import LogServer
from videojob_local.node.machine import describe_machine
from videojob_local.node.manifest import Manifest
from videojob_local.node.pod_life import PodRunner
from videojob_local.node.pod_run import Ending, PodRun
from videojob_local.node.publisher import StatusPublisher
from videojob_local.node.sources import Sources
from videojob_local.node.state import StateFolder
from videojob_local.node.status import TERMINAL_PHASES
from videojob_local.node.tokens import TokenMinter
from videojob_local.node.volumes import Volumes

log = logging.getLogger(__name__)

_REPORT_SECONDS = 10


class Agent:
    """One node. Must be made inside a running event loop."""

    def __init__(self, config: NodeConfig, state: StateFolder) -> None:
        gpus = find_gpus(config.gpus)
        machine = describe_machine(config, gpus)
        self._api = ApiClient(config.server, config.ca, config.cert, config.key)
        sources = Sources(self._api)
        tokens = TokenMinter(self._api, config.token_refresh)
        self._config = config
        self._state = state
        self._publisher = StatusPublisher(self._api, config.address)
        self._events = EventRecorder(self._api, config.name)
        self._heartbeat = Heartbeat(config, machine, self._api)
        builder = ContainerBuilder(
            server=config.server,
            images=config.images,
            inherited=inherited(os.environ),
            volumes=Volumes(sources, tokens, config.address, machine.capacity),
            environment=EnvironmentResolver(sources, config.address, machine.capacity),
            host_folders=config.host_folders,
        )
        self._runner = PodRunner(gpus, GpuPool(gpus), state, builder, self._publisher, self._events, config.address)
        self._runs: dict[str, PodRun] = {}
        self._errands: set[asyncio.Task[None]] = set()
        kind = "pretended" if gpus.pretended else "real"
        log.info("node %s: %d %s GPUs (%s)", config.name, len(gpus.ids), kind, gpus.product)

    async def work(self) -> None:
        """Work until SIGTERM or SIGINT, then end every Pod and say NotReady; a second signal ends the Pods at once."""
        asked = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, asked)
        if killed := self._state.end_orphans():
            log.warning("ended %d processes of a former agent", killed)
        logs = await LogServer(self._config, self._find).serve()
        duties = [asyncio.create_task(work) for work in (self._heartbeat.beat(), self._watch_pods())]
        waiting = asyncio.create_task(asked.wait())
        done, _ = await asyncio.wait({*duties, waiting}, return_when=asyncio.FIRST_COMPLETED)
        for task in (*duties, waiting):
            task.cancel()
        await self._shut_down()
        await logs.cleanup()
        self._events.close()
        await self._api.close()
        for task in done:
            task.result()  # a duty that broke ends the agent with its error

    def _on_signal(self, asked: asyncio.Event) -> None:
        if asked.is_set():
            for run in self._runs.values():
                run.longest_grace_seconds = 0
        asked.set()

    async def _shut_down(self) -> None:
        """End all Pods; with no API server at hand their processes end, and the next agent reports it."""
        ending = [run for run in self._runs.values() if not run.over]
        log.info("node %s was told to end; ending %d Pods", self._config.name, len(ending))
        for run in ending:
            run.longest_grace_seconds = min(run.longest_grace_seconds, self._config.shutdown_grace_seconds)
            run.end(Ending("NodeShutdown", "the process node was asked to end", disruption=True))
        last = [asyncio.create_task(self._heartbeat.say_not_ready()), *(run.life for run in ending if run.life)]
        limit = _REPORT_SECONDS + max((run.grace_seconds() for run in ending), default=0)
        _, late = await asyncio.wait({*last, *self._errands}, timeout=limit)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        log.info("node %s ended", self._config.name)

    async def _watch_pods(self) -> None:
        first = True
        async for event in self._api.watch("/api/v1/pods", fieldSelector=f"spec.nodeName={self._config.name}"):
            match event:
                case Listed(items):
                    self._on_list(items, first=first)
                    first = False
                case Changed(item):
                    self._on_pod(item)
                case Deleted(item):
                    self._on_gone(item["metadata"]["uid"])

    def _on_list(self, pods: list[Manifest], *, first: bool) -> None:
        listed = {pod["metadata"]["uid"] for pod in pods}
        for uid in [uid for uid in self._runs if uid not in listed]:
            self._on_gone(uid)
        for pod in pods:
            self._on_pod(pod, after_restart=first)
            if not first:
                self._tell_again(self._runs[pod["metadata"]["uid"]])
        if first:
            self._state.keep_only(listed)

    def _tell_again(self, run: PodRun) -> None:
        """Say once more what an API server that came back from a backup has forgotten."""
        if run.pod.get("status", {}).get("phase", "Pending") != run.phase and not run.being_deleted:
            self._errand(self._publisher.publish(run, run.phase, again=True))

    def _on_pod(self, pod: Manifest, *, after_restart: bool = False) -> None:
        """Note the latest object of a Pod; begin its life at first sight."""
        uid = pod["metadata"]["uid"]
        run = self._runs.get(uid)
        if run is None:
            run = self._runs[uid] = PodRun(pod, self._state.folder(uid))
            self._begin(run, after_restart=after_restart)
        run.pod = pod
        if run.being_deleted:
            run.stop.set()
            if run.over:  # the deletion was asked for while its last status was on its way
                self._errand(self._publisher.confirm_deletion(run))
        elif _declared_unready(run):
            self._errand(self._publisher.publish(run, "Running", again=True))

    def _begin(self, run: PodRun, *, after_restart: bool) -> None:
        status = run.pod.get("status", {})
        if status.get("phase") in TERMINAL_PHASES:
            run.phase = status["phase"]
            return
        run.started_at = status.get("startTime") or run.started_at
        if after_restart and (status.get("phase") == "Running" or self._state.remembers(run.folder)):
            message = "the process node restarted, and this Pod's processes were ended"
            run.end(Ending("AgentRestarted", message, disruption=True))
        run.life = asyncio.create_task(self._runner.live(run))
        run.life.add_done_callback(lambda _: self._forget(run) if run.object_gone else None)

    def _on_gone(self, uid: str) -> None:
        run = self._runs.get(uid)
        if run is None:
            return
        run.object_gone = True
        run.stop.set()
        if run.over:
            self._forget(run)

    def _forget(self, run: PodRun) -> None:
        self._runs.pop(run.uid, None)
        self._publisher.forget(run)
        self._events.forget(run)
        shutil.rmtree(run.folder, ignore_errors=True)

    def _errand(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def _find(self, namespace: str, name: str) -> PodRun | None:
        found = (run for run in reversed(self._runs.values()) if (run.namespace, run.name) == (namespace, name))
        return next(found, None)


def _declared_unready(run: PodRun) -> bool:
    """Tell a Pod whose Ready the node controller has taken away while the node was away: nobody else gives it back."""
    conditions = run.pod.get("status", {}).get("conditions", [])
    said_unready = any(c["type"] == "Ready" and c["status"] == "False" for c in conditions)
    return said_unready and run.conditions.get("Ready", (False, ""))[0] and not run.over and run.phase == "Running"
