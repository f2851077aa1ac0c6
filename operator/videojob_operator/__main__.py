"""The operator as a process: `python -m videojob_operator`."""

import asyncio
import os
import random
import sys

import kopf
import uvloop

from videojob.errors import ConfigurationError
from videojob_operator.cache import Cache
from videojob_operator.client import Client
from videojob_operator.controller import Controller
from videojob_operator.credentials import Credentials, find_credentials
from videojob_operator.health import Health, serve_health
from videojob_operator.informer import build_registry
from videojob_operator.logs import set_up_logs
from videojob_operator.settings import Settings, read_settings
from videojob_operator.work_queue import WorkQueue


async def run(settings: Settings, credentials: Credentials, health: Health) -> None:
    """Run until SIGTERM, which Kopf handles."""
    client, cache = Client(credentials), Cache()
    queue = WorkQueue(jitter=lambda: random.uniform(0.5, 1))
    namespaces = settings.namespaces or (credentials.namespace,)
    controller = Controller(
        settings,
        client,
        cache,
        queue,
        namespaces=namespaces,
        clock=client.clock.now,
        health=health,
    )
    beat = asyncio.create_task(health.beat())  # before Kopf's first step, or Kopf takes it for a task of its own
    try:
        registry = build_registry(credentials, cache, queue, controller)
        await kopf.operator(registry=registry, namespaces=namespaces, standalone=True)
    finally:
        beat.cancel()
        await client.close()


def main() -> None:
    """Start the operator; a wrong setting ends it with one sentence."""
    set_up_logs()
    health = Health()
    try:
        settings, credentials = read_settings(os.environ), find_credentials()
        server = serve_health(health, settings.health_port)
    except ConfigurationError as error:
        sys.exit(f"videojob-operator: {error}")
    uvloop.run(run(settings, credentials, health))
    server.shutdown()


if __name__ == "__main__":
    main()
