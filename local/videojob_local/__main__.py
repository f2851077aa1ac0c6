"""The command line of the local stack: `python -m videojob_local COMMAND`, behind the targets of the Makefile."""

import argparse
import errno
import os
import sys

from videojob_local import commands
from videojob_local.binaries import ensure_binaries
from videojob_local.errors import LocalError
from videojob_local.images.command import images
from videojob_local.interruptions import interruptions
from videojob_local.tiny_models import ensure_tiny_models


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; PORT and MODEL of the environment are the defaults of their options."""
    cli = argparse.ArgumentParser(prog="videojob-local", description="videojob on one machine.")
    subcommands = cli.add_subparsers(dest="command", required=True)
    subcommands.add_parser("build", help="build the control plane and the tiny models, once a machine")
    for name, text in (("up", "start the stack and keep it running"), ("demo", "run the main job end to end")):
        command = subcommands.add_parser(name, help=text)
        command.add_argument("--port", type=int, default=_port(), help="port of the REST API")
        command.add_argument("--model", default=os.environ.get("MODEL") or None, help="default model of the catalogue")
    subcommands.add_parser("down", help="stop the stack and remove its state")
    subcommands.add_parser("status", help="say what runs, and its health")
    logs = subcommands.add_parser("logs", help="print the logs")
    logs.add_argument("part", nargs="?")
    subcommands.add_parser("env", help="print shell settings")
    images = subcommands.add_parser("images", help="build the three images, with a bill of materials each")
    images.add_argument("--registry", default=os.environ.get("REGISTRY", ""), help="put before the names")
    images.add_argument("--tag", default=os.environ.get("TAG") or None, help="absent: the version")
    return cli.parse_args(arguments)


def _port() -> int:
    text = os.environ.get("PORT") or str(commands.DEFAULT_PORT)
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        sys.exit(f"videojob-local: PORT must be a number from 1 to 65535, not {text!r}")
    return int(text)


def run(options: argparse.Namespace) -> None:
    """Run one command."""
    match options.command:
        case "build":
            ensure_binaries()
            ensure_tiny_models()
        case "up":
            commands.up(options.port, options.model)
        case "demo":
            commands.demo(options.port, options.model)
        case "down":
            commands.down()
        case "status":
            commands.status()
        case "logs":
            commands.logs(options.part)
        case "env":
            commands.env()
        case "images":
            images(options.registry, options.tag)


def main() -> None:
    """Run the command; every failure that was foreseen is one sentence and exit code 1."""
    try:
        options = parse()
        with interruptions.heard():
            run(options)
    except LocalError as error:
        sys.exit(f"videojob-local: {error}")
    except KeyboardInterrupt:
        sys.exit("videojob-local: interrupted")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            sys.exit("videojob-local: the disk is full; free some space and try again")
        if error.filename:
            sys.exit(f"videojob-local: {error.strerror}: {error.filename}")
        raise


if __name__ == "__main__":
    main()
