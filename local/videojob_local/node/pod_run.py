"""One Pod on this node: its latest object and what the node knows of its processes."""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from videojob_local.node.errors import PodStopped
from videojob_local.node.manifest import Manifest, timestamp

T = TypeVar("T")

_DEFAULT_GRACE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the node ended a Pod by itself.

    Attributes:
        reason: status.reason of the Pod.
        message: one sentence.
        disruption: no fault of the Pod: it gets the condition DisruptionTarget, and Jobs may not count it.
        fails: the Pod has failed even if its process then ended with 0.
    """

    reason: str
    message: str
    disruption: bool = False
    fails: bool = False


@dataclass(slots=True)
class ContainerRecord:
    """What is known of one container; `state` and `last_state` have the shape of the API."""

    state: Manifest = field(default_factory=lambda: {"waiting": {"reason": "PodInitializing"}})
    last_state: Manifest = field(default_factory=dict)
    restart_count: int = 0
    ready: bool = False
    started: bool = False
    container_id: str = ""

    @property
    def running(self) -> bool:
        """Its process runs now."""
        return "running" in self.state


@dataclass(eq=False, slots=True)
class PodRun:
    """One Pod from the first sight of it until its object is gone."""

    pod: Manifest
    folder: Path
    started_at: str = field(default_factory=timestamp)
    seen: float = field(default_factory=time.monotonic)
    phase: str = "Pending"
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    ending: Ending | None = None
    object_gone: bool = False
    longest_grace_seconds: float = float("inf")
    volumes: set[str] = field(default_factory=set)
    containers: dict[str, ContainerRecord] = field(default_factory=dict)
    conditions: dict[str, tuple[bool, str]] = field(default_factory=dict)
    publishing: asyncio.Lock = field(default_factory=asyncio.Lock)
    companions: list[asyncio.Task[None]] = field(default_factory=list)
    life: asyncio.Task[None] | None = None

    @property
    def metadata(self) -> Manifest:
        """The Pod's metadata."""
        found: Manifest = self.pod["metadata"]
        return found

    @property
    def spec(self) -> Manifest:
        """The Pod's spec."""
        found: Manifest = self.pod["spec"]
        return found

    @property
    def name(self) -> str:
        """The Pod's name."""
        return str(self.metadata["name"])

    @property
    def namespace(self) -> str:
        """The Pod's namespace."""
        return str(self.metadata["namespace"])

    @property
    def uid(self) -> str:
        """The Pod's uid."""
        return str(self.metadata["uid"])

    @property
    def path(self) -> str:
        """Path of the Pod's object in the API."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"

    @property
    def main(self) -> Manifest:
        """The spec of its only container that is no init container."""
        found: Manifest = self.spec["containers"][0]
        return found

    @property
    def over(self) -> bool:
        """Its processes have ended for good."""
        return self.life is None or self.life.done()

    @property
    def being_deleted(self) -> bool:
        """Somebody has asked for its deletion."""
        return "deletionTimestamp" in self.metadata

    def record(self, container: Manifest) -> ContainerRecord:
        """Return what is known of one of its containers."""
        return self.containers.setdefault(container["name"], ContainerRecord())

    def end(self, ending: Ending) -> None:
        """Ask its life to end; the first reason stays."""
        self.ending = self.ending or ending
        self.stop.set()

    def grace_seconds(self) -> float:
        """Seconds from SIGTERM to SIGKILL; ask again while waiting, since a second delete may shorten it."""
        if self.object_gone:
            return 0
        asked = self.metadata.get("deletionGracePeriodSeconds")
        if asked is None:
            asked = self.spec.get("terminationGracePeriodSeconds", _DEFAULT_GRACE_SECONDS)
        return min(float(asked), self.longest_grace_seconds)

    async def unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work`, or give it up as soon as the Pod is to end.

        Raises:
            PodStopped: the Pod is to end.
        """
        task, stop = asyncio.create_task(work), asyncio.create_task(self.stop.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise PodStopped
            return task.result()
        finally:
            task.cancel()
            stop.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)
