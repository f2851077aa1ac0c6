"""The operator as a process: `python -m videojob_operator`.

It waits for the Lease, works while it holds it, and gives it up after an orderly end. When another operator has taken
the Lease it ends at once, without a last write.
"""

import asyncio
import gc
import logging
import os
import random
import signal
import socket
import sys
import time
import uuid
from dataclasses import dataclass, field

import kopf
import uvloop

from videojob.errors import ConfigurationError
from videojob_operator.cache import Cache
from videojob_operator.client import Client
from videojob_operator.context import Context
from videojob_operator.controller import Controller
from videojob_operator.credentials import Credentials, find_credentials
from videojob_operator.health import Health
from videojob_operator.http_server import serve
from videojob_operator.informer import build_registry
from videojob_operator.lease import Leadership, Terms
from videojob_operator.lists import Lists
from videojob_operator.live_settings import LiveSettings
from videojob_operator.logs import set_up_logs
from videojob_operator.metrics import Metrics
from videojob_operator.notifier import Notifier
from videojob_operator.settings import Settings, read_settings
from videojob_operator.webhook_client import WebhookClient
from videojob_operator.work_queue import WorkQueue

GARBAGE_THRESHOLDS = (20_000, 20, 20)
"""Manifests are thousands of small containers and never cycles: looked through by default after each 700 of them, a
restart over 6,000 objects takes a fifth more CPU."""

LOST_THE_LEASE = 3
"""Exit code of an operator that another one has replaced while it was away."""

log = logging.getLogger("videojob_operator")


@dataclass
class Operator:
    """One operator and what it consists of."""

    settings: Settings
    credentials: Credentials
    health: Health = field(default_factory=Health)
    cache: Cache = field(default_factory=Cache)

    def __post_init__(self) -> None:
        self.queue = WorkQueue(jitter=lambda: random.uniform(0.5, 1))
        self.live = LiveSettings(self.settings, os.environ)
        self.metrics = Metrics(self.cache.phases, self.cache.held, self.queue.__len__, self.live)

    async def run(self) -> None:
        """Run until SIGTERM, as a standby or at work."""
        told_to_end = _signalled()
        client = Client(self.credentials, lambda method, code: self.metrics.requests.labels(method, code).inc())
        tasks = [asyncio.create_task(self.health.beat()), told_to_end]
        try:
            leadership = self._leadership(client)
            if leadership is None:
                await self._work(client, told_to_end, _always())
            elif await self._stand_by(leadership, told_to_end):
                await self._lead(client, leadership, told_to_end)
        finally:
            for task in tasks:
                task.cancel()
            await client.close()

    def _leadership(self, client: Client) -> Leadership | None:
        if not self.settings.lease:
            return None
        identity = f"{os.environ.get('HOSTNAME') or socket.gethostname()}_{uuid.uuid4().hex[:8]}"
        terms = Terms.of(self.settings.lease_seconds)
        place = (self.credentials.namespace, self.settings.lease)
        return Leadership(client, *place, identity, terms, monotonic=time.monotonic, now=client.clock.now)

    async def _stand_by(self, leadership: Leadership, told_to_end: "asyncio.Task[None]") -> bool:
        """Wait for the Lease; False: told to end before it was ours."""
        acquired = asyncio.create_task(leadership.acquire(self._tell_standby))
        await asyncio.wait({acquired, told_to_end}, return_when=asyncio.FIRST_COMPLETED)
        if told_to_end.done():
            acquired.cancel()
            await asyncio.gather(acquired, return_exceptions=True)
            await leadership.release()
            return False
        acquired.result()
        log.info("leading", extra={"identity": leadership.identity})
        return True

    def _tell_standby(self, trouble: str | None) -> None:
        self.health.role, self.health.not_ready_because = "standby", trouble

    async def _lead(self, client: Client, leadership: Leadership, told_to_end: "asyncio.Task[None]") -> None:
        self.health.role, self.health.not_ready_because = "ok", "starting"
        keep = asyncio.create_task(
            leadership.keep()
        )  # before Kopf's first step, or Kopf takes it for a task of its own
        work = asyncio.create_task(self._work(client, told_to_end, leadership.held))
        await asyncio.wait({keep, work}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            log.error("another operator holds the Lease; ending", extra={"identity": leadership.identity})
            os._exit(LOST_THE_LEASE)  # no clean-up: nothing may be written any more
        keep.cancel()
        self.metrics.leader.set(0)
        await leadership.release()
        work.result()

    async def _work(self, client: Client, told_to_end: "asyncio.Task[None]", may_act: asyncio.Event) -> None:
        """Run Kopf until SIGTERM, which it handles itself from its first steps on."""
        namespaces = self.settings.namespaces or (self.credentials.namespace,)
        sender = WebhookClient(self.settings.webhook_allowed_networks)
        secret = self.settings.webhook_secret_file
        context = Context(client, self.cache, self.queue, self.metrics, client.clock.now, may_act)
        notifier = Notifier(context, sender, secret)
        lists = Lists(context, namespaces)
        controller = Controller(context, self.live, lists, health=self.health, notifier=notifier)
        registry = build_registry(self.credentials, context, controller, lists, self.health)
        self.metrics.leader.set_function(lambda: float(may_act.is_set()))
        work = asyncio.ensure_future(kopf.operator(registry=registry, namespaces=namespaces, standalone=True))
        await asyncio.wait({work, told_to_end}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():  # the signal came before Kopf's own handler was there
            work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await sender.close()
        if not work.cancelled():
            work.result()


def _signalled() -> "asyncio.Task[None]":
    """Return a task that ends on SIGTERM or SIGINT."""
    event, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, event.set)

    async def wait() -> None:
        await event.wait()

    return asyncio.create_task(wait())


def _always() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


def main() -> None:
    """Start the operator; a wrong setting ends it with one sentence."""
    set_up_logs()
    gc.freeze()  # what was imported stays
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    try:
        operator = Operator(read_settings(os.environ), find_credentials())
        server = serve(operator.health, operator.metrics, operator.settings.health_port)
    except ConfigurationError as error:
        sys.exit(f"videojob-operator: {error}")
    uvloop.run(operator.run())
    server.shutdown()


if __name__ == "__main__":
    main()
