"""One container: prepare, start, watch, end, and again where the restart policy says so.

What cannot start yet is not failed: it waits with the kubelet's own reasons (ErrImagePull, CreateContainerConfigError)
and is tried again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videojob_local.node.command import Command
from videojob_local.node.errors import NotReadyYet, PodStopped
from videojob_local.node.events import EventRecorder
from videojob_local.node.manifest import Manifest, timestamp
from videojob_local.node.pod_run import PodRun
from videojob_local.node.probes import HealthWatch
from videojob_local.node.process import ChildProcess, kill_group, oom_kills
from videojob_local.node.state import StateFolder

log = logging.getLogger(__name__)

_START_ERROR = 128
_KILLED = 137
_MESSAGE_BYTES = 4096
_LOG_TAIL_BYTES = 2048
_FIRST_BACKOFF_SECONDS = 1.0
_LONGEST_BACKOFF_SECONDS = 300.0
_CALM_SECONDS = 600.0
# Until then a refusal is the authorizer's lag after the binding and not worth a status.
_QUIET_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How one start of a container ended."""

    exit_code: int
    reason: str
    message: str


class ContainerLife:
    """Runs one container of one Pod."""

    def __init__(
        self,
        run: PodRun,
        container: Manifest,
        state: StateFolder,
        *,
        address: str,
        events: EventRecorder,
        build: Callable[[], Awaitable[Command]],
        publish: Callable[[], Awaitable[None]],
    ) -> None:
        self._run = run
        self._container = container
        self._record = run.record(container)
        self._state = state
        self._address = address
        self._events = events
        self._build = build
        self._publish = publish
        self._is_main = container is run.main

    async def live(self) -> int:
        """Run the container until it ends for good; returns its last exit code.

        Raises:
            PodStopped: the Pod was told to end while no process of it ran.
        """
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            command = await self._prepare()
            began = time.monotonic()
            ended = await self._execute(command)
            if self._run.stop.is_set() or not self._again(ended.exit_code):
                return ended.exit_code
            if time.monotonic() - began > _CALM_SECONDS:
                backoff = _FIRST_BACKOFF_SECONDS
            try:
                await self._back_off(backoff)
            except PodStopped:
                return ended.exit_code
            backoff = min(backoff * 2, _LONGEST_BACKOFF_SECONDS)
            self._record.restart_count += 1

    async def _prepare(self) -> Command:
        """Build the command, again and again until that is possible."""
        pause, began = 0.02, time.monotonic()
        while True:
            try:
                return await self._run.unless_stopped(self._build_now())
            except NotReadyYet as error:
                log.info("pod %s not ready to start: %s: %s", self._run.path, error.reason, error.message)
                if time.monotonic() - began > _QUIET_SECONDS:
                    await self._wait_for(error)
            await self._run.unless_stopped(asyncio.sleep(pause))
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _wait_for(self, error: NotReadyYet) -> None:
        self._record.state = {"waiting": {"reason": error.reason, "message": error.message[:500]}}
        reason = "FailedMount" if error.reason == "ContainerCreating" else "Failed"
        self._events.warning(self._run, reason, f"{error.reason}: {error.message}")
        await self._publish()

    async def _build_now(self) -> Command:
        return await self._build()

    async def _execute(self, command: Command) -> Ended:
        """Start the command, wait for its end and record both."""
        log_file = self._new_log()
        if self._run.stop.is_set():
            raise PodStopped
        began, oom_before = timestamp(), oom_kills()
        try:
            child = await ChildProcess.start(command, log_file)
        except (OSError, ValueError) as error:
            ended = Ended(_START_ERROR, "StartError", str(error))
        else:
            self._state.remember(self._run.folder, child.pid)
            self._record_start(child, began)
            try:
                exit_code, ending = await self._watch(child)
            except BaseException:  # nothing that breaks here may leave the process behind
                kill_group(child.pid)
                raise
            reason = self._reason(exit_code, oom_before)
            ended = Ended(exit_code, reason, ending or self._message(exit_code, command.message_file, log_file))
        self._record_end(ended, began)
        return ended

    def _record_start(self, child: ChildProcess, began: str) -> None:
        if self._is_main and not self._record.restart_count:
            milliseconds = 1000 * (time.monotonic() - self._run.seen)
            log.info("started %s, pid %d, %.1f ms after the Pod was seen", self._run.path, child.pid, milliseconds)
        self._record.container_id = f"process://{child.pid}"
        self._record.state = {"running": {"startedAt": began}}
        self._events.normal(self._run, "Started", f"Started container {self._container['name']}")

    async def _watch(self, child: ChildProcess) -> tuple[int, str]:
        """Wait until the process ends or must be ended; return its exit code and, if a probe ended it, why."""
        health = HealthWatch(self._container, self._record, self._address, self._publish)
        health.begin()
        publishing = asyncio.create_task(self._publish_now())
        probing = asyncio.create_task(health.watch())
        ended, stop = asyncio.create_task(child.exit_code()), asyncio.create_task(self._run.stop.wait())
        signs: set[asyncio.Future[Any]] = {ended, stop, health.unhealthy}
        await asyncio.wait(signs, return_when=asyncio.FIRST_COMPLETED)
        probing.cancel()
        why = ""
        if not ended.done():
            why = health.unhealthy.result() if health.unhealthy.done() else ""
            log.info("ending %s, pid %d: %s", self._run.path, child.pid, why or "asked to")
            if why:
                self._events.warning(self._run, "Unhealthy", why)
            self._events.normal(self._run, "Killing", f"Stopping container {self._container['name']}")
            await child.end(self._run.grace_seconds, self._pre_stop_seconds())
        stop.cancel()
        exit_code = await ended
        await publishing
        await asyncio.gather(probing, stop, return_exceptions=True)
        return exit_code, why

    async def _publish_now(self) -> None:
        await self._publish()

    def _pre_stop_seconds(self) -> float:
        hook = self._container.get("lifecycle", {}).get("preStop", {})
        return float(hook.get("sleep", {}).get("seconds", 0))

    def _record_end(self, ended: Ended, began: str) -> None:
        record = self._record
        record.ready = record.started = False
        record.state = {
            "terminated": {
                "exitCode": ended.exit_code,
                "reason": ended.reason,
                "message": ended.message,
                "startedAt": began,
                "finishedAt": timestamp(),
                "containerID": record.container_id,
            }
        }

    def _again(self, exit_code: int) -> bool:
        policy = self._run.spec.get("restartPolicy", "Always")
        return (exit_code != 0 and policy != "Never") or (self._is_main and policy == "Always")

    async def _back_off(self, seconds: float) -> None:
        """Wait before the next start; a Pod that ends meanwhile keeps the state in which its last start ended."""
        ended = self._record.state
        message = f"back-off {seconds:.0f}s restarting failed container={self._container['name']}"
        self._record.last_state = ended
        self._record.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        self._events.warning(self._run, "BackOff", message)
        await self._publish()
        try:
            await self._run.unless_stopped(asyncio.sleep(seconds))
        except PodStopped:
            self._record.state = ended
            raise

    def _new_log(self) -> Path:
        """The log file of this start; that of the one before stays for `kubectl logs --previous`."""
        folder: Path = self._run.folder / "logs" / self._container["name"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self._record.restart_count - 2}.log").unlink(missing_ok=True)
        return folder / f"{self._record.restart_count}.log"

    @staticmethod
    def _reason(exit_code: int, oom_before: str) -> str:
        if exit_code == 0:
            return "Completed"
        return "OOMKilled" if exit_code == _KILLED and oom_kills() != oom_before else "Error"

    def _message(self, exit_code: int, message_file: Path, log_file: Path) -> str:
        message = message_file.read_bytes()[:_MESSAGE_BYTES] if message_file.exists() else b""
        if not message and exit_code and self._container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            message = log_file.read_bytes()[-_LOG_TAIL_BYTES:]
        return message.decode(errors="replace")
