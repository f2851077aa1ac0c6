"""The command line: without arguments, render the request of the environment and exit with its code.

Nothing heavy is imported before it is needed: a signal or a wrong environment is answered at once.
"""

import argparse
import os
import sys
from pathlib import Path

from videojob import environment as variables
from videojob.families import Family
from videojob_renderer.interruption import Interruption

ALL = "all"


def main() -> None:
    """Run the command and end the process."""
    arguments = _parser().parse_args()
    if arguments.command == "make-tiny":
        _make_tiny(arguments.folder, arguments.family)
        return
    if arguments.command == "fetch":
        sys.exit(_fetch(arguments))
    interruption = Interruption()
    interruption.install()
    from videojob_renderer.attempt import run  # noqa: PLC0415 - after the signals are handled

    code = run(os.environ, interruption)
    sys.stdout.flush()
    os._exit(code)  # the interpreter's own end would wait for whatever threads the libraries left behind


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="videojob-renderer", description="Render one VideoJob and upload the video.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    tiny = commands.add_parser("make-tiny", help="write a tiny model of random weights, for tests and demos")
    tiny.add_argument("folder", type=Path, metavar="DIR")
    tiny.add_argument(
        "--family", choices=[*map(str, Family), ALL], default="2b", help="all: each in a folder of its own below DIR"
    )
    _add_fetch(commands.add_parser("fetch", help="bring a model into a cache folder"))
    return parser


def _add_fetch(fetch: argparse.ArgumentParser) -> None:
    fetch.add_argument(
        "model",
        metavar="MODEL|SOURCE",
        help="a name of the model catalogue, or a source: owner/name of the hub, s3://BUCKET/PREFIX or /FOLDER",
    )
    fetch.add_argument("--revision", help="branch, tag or commit of a hub repository (default: the catalogue's)")
    fetch.add_argument(
        "--cache",
        metavar="DIR",
        default=os.environ.get(variables.MODEL_CACHE),
        help=f"the cache folder (default: ${variables.MODEL_CACHE})",
    )
    fetch.add_argument(
        "--catalogue",
        metavar="FILE",
        default=os.environ.get(variables.CATALOGUE),
        help=f"the model catalogue as JSON (default: ${variables.CATALOGUE})",
    )
    fetch.add_argument("--offline", action="store_true", help="ask nobody: fail unless the model is in the cache")


def _fetch(arguments: argparse.Namespace) -> int:
    from videojob_renderer.fetch import run  # noqa: PLC0415 - the hub's client

    return run(arguments, os.environ)


def _make_tiny(folder: Path, family: str) -> None:
    from videojob_renderer.tiny import make_tiny  # noqa: PLC0415 - imports torch

    try:
        if family == ALL:
            for each in Family:
                make_tiny(folder / each, each)
        else:
            make_tiny(folder, Family(family))
    except OSError as error:
        sys.exit(f"videojob-renderer: cannot write the model to {folder}: {error.strerror or error}")


if __name__ == "__main__":
    main()
