"""Start a process node: `python -m videojob_local.node --help` tells what it needs to know."""

import argparse
import asyncio
import json
import logging
import os
import sys
from pathlib import Path

from videojob_local.node.agent import Agent
from videojob_local.node.config import NodeConfig
from videojob_local.node.errors import StateInUse
from videojob_local.node.state import StateFolder


def parse(arguments: list[str] | None = None) -> NodeConfig:
    """Read the command line."""
    cli = argparse.ArgumentParser(
        prog="python -m videojob_local.node", description="A node that runs Pods as processes."
    )
    cli.add_argument("--server", required=True, help="URL of the API server")
    cli.add_argument("--ca", required=True, type=Path, help="certificate authority of the API server and its clients")
    cli.add_argument("--cert", required=True, type=Path, help="the node's certificate, client and server")
    cli.add_argument("--key", required=True, type=Path, help="its private key")
    cli.add_argument("--name", required=True, help="name of the Node")
    cli.add_argument("--state", required=True, type=Path, help="folder of the Pods' files")
    cli.add_argument("--images", required=True, type=_images, help='JSON: {"image pattern": ["program", "argument"]}')
    cli.add_argument("--labels", default={}, type=json.loads, help="JSON: more labels of the Node")
    cli.add_argument("--address", default="127.0.0.1", help="IP address of the node and its Pods")
    cli.add_argument("--port", default=10250, type=int, help="port of the log server")
    cli.add_argument("--cpus", type=int, help="CPUs to offer (default: the machine's)")
    cli.add_argument(
        "--gpus", type=int, help="GPUs to offer, pretended where there are fewer (default: the machine's, or one)"
    )
    cli.add_argument("--log-client", default="kube-apiserver-kubelet-client", help="common name that may read logs")
    cli.add_argument("--token-refresh", default=0.8, type=float, help="part of a token's lifetime until it is renewed")
    cli.add_argument("--shutdown-grace-seconds", default=30, type=float, help="the longest a Pod may take on shutdown")
    cli.add_argument(
        "--host-folder",
        dest="host_folders",
        action="append",
        default=[],
        help="a folder that Pods know by its real path, even below a mountPath; may be repeated",
    )
    options = vars(cli.parse_args(arguments))
    return NodeConfig(**options | {"host_folders": tuple(options["host_folders"])})


def _images(text: str) -> dict[str, tuple[str, ...]]:
    return {pattern: tuple(argv) for pattern, argv in json.loads(text).items()}


def _has_pidfd() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):  # no Linux, or an old one
        return False
    return True


async def _work(config: NodeConfig, state: StateFolder) -> None:
    await Agent(config, state).work()


def main() -> None:
    """Run the node until it is told to end."""
    config = parse()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s.%(msecs)03d %(levelname)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S"
    )
    if sys.version_info < (3, 12) and _has_pidfd():  # whose default starts a thread for each child
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    try:
        with StateFolder(config.state) as state:
            asyncio.run(_work(config, state))
    except StateInUse as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
