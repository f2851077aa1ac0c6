"""Run the REST service: `python -m videojob_api`, all settings from the environment; or draw a key: `… new-key --help`.

What is wrong before the first request ends the process with one sentence on stderr and status 2.
"""

import argparse
import asyncio
import os
import signal
import socket
import sys

import uvicorn

from videojob.errors import ConfigurationError
from videojob_api.access.keys import new_key
from videojob_api.app import create_app
from videojob_api.logs import write_json_logs
from videojob_api.services import open_services
from videojob_api.settings import HOST, PORT, Settings, read_settings

GRACE_SECONDS = 20
"""Downloads that run may end within this time; a pod has 30 seconds by default."""

KEEP_ALIVE_SECONDS = 75
"""An idle connection stays open this long: longer than clients poll, and than the 60 s of usual proxies. With uvicorn's
own 5 s, a client that polled every 5 s at times sent its request into a connection that was just being closed."""


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="videojob_api", description="The REST service of videojob.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("serve", help="serve (the default); all settings come from the environment")
    drawing = commands.add_parser("new-key", help="draw a key and print it, once, with its entry for the file of keys")
    drawing.add_argument("name", help="who will use it; stands in the log")
    drawing.add_argument("--namespace", default="videojob", help="whose VideoJobs it opens (default: %(default)s)")
    drawing.add_argument("--requests-per-minute", type=int, metavar="N", help="0: no limit; absent: the service's own")
    asked = parser.parse_args()
    try:
        if asked.command == "new-key":
            _draw_key(asked.name, asked.namespace, asked.requests_per_minute)
        else:
            _serve()
    except ConfigurationError as error:
        print(f"videojob_api: {error}", file=sys.stderr)  # noqa: T201 - for the person who starts it
        sys.exit(2)


def _draw_key(name: str, namespace: str, requests_per_minute: int | None) -> None:
    key, entry = new_key(name, namespace, requests_per_minute)
    print(f"key, not shown again:  {key}\nentry for keys.json:   {entry}")  # noqa: T201 - for the person who asks


def _serve() -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: a setting is missing or wrong, or the port is taken.
    """
    settings = read_settings(os.environ)
    asyncio.run(_try(settings))
    listener = _listen(settings)
    write_json_logs()
    # uvicorn sends itself the signal again once it has stopped; to end by request is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    config = uvicorn.Config(
        create_app(settings),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])


async def _try(settings: Settings) -> None:
    """Open everything once, so that a wrong setting is told in one sentence and not from within the server."""
    async with open_services(settings):
        pass


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()  # "::" is all addresses, IPv4 ones included
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048, dualstack_ipv6=both)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise ConfigurationError(f"cannot listen on {where} ({HOST}, {PORT}): {error.strerror}") from error


if __name__ == "__main__":
    main()
