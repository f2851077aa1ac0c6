"""What it takes to start one container: a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Command:
    """One container as a process.

    Attributes:
        argv: program and arguments.
        environment: the whole environment; never shown, since it holds prompts and secrets.
        folder: working directory.
        message_file: where the container leaves its termination message.
    """

    argv: tuple[str, ...] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    message_file: Path
