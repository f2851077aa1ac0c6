"""docker or podman, whichever runs here.

podman gets settings of its own that small machines need: limits that a root without CAP_SYS_RESOURCE may set, and runc,
because crun refuses machines that mount both versions of cgroups.
"""

import json
import os
import resource
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from videojob_local.errors import ProgramFailed, ToolMissing
from videojob_local.paths import cache_folder
from videojob_local.programs import output_of, pipe

_MOST_FILES = 20_000
_MOST_PROCESSES = 32_768


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that builds images.

    Attributes:
        program: docker or podman.
        environment: of its processes.
    """

    program: str
    environment: Mapping[str, str] = field(repr=False)

    @property
    def is_podman(self) -> bool:
        """Tell podman from docker: their options differ."""
        return Path(self.program).name == "podman"

    def run(self, *arguments: str, cwd: Path | None = None, stdin: str = "") -> str:
        """Run one command and return what it prints.

        Raises:
            ProgramFailed: it failed.
        """
        return output_of([self.program, *arguments], env=self.environment, cwd=cwd, stdin=stdin)

    def answers(self) -> bool:
        """Tell whether there is an engine behind the program: the docker client may be alone."""
        return self._succeeds("info")

    def has(self, image: str) -> bool:
        """Tell whether an image is in the local store."""
        return self._succeeds("image", "inspect", image)

    def can_pull(self, image: str) -> bool:
        """Try to get an image from its registry."""
        return self._succeeds("pull", image)

    def image_id(self, image: str) -> str:
        """Return the id of an image: the hash of its configuration and of all its layers."""
        return self.run("image", "inspect", "--format={{.Id}}", image).removeprefix("sha256:")

    def digest(self, image: str) -> str | None:
        """Return the digest by which a registry knows an image; None where docker never had it from one."""
        names: list[str] = json.loads(self.run("image", "inspect", "--format={{json .RepoDigests}}", image)) or []
        return names[0].partition("@")[2] if names else None

    def send(self, image: str, reader: Sequence[str | Path]) -> None:
        """Let another program read an image, as an archive; nothing of it is written to disk on the way.

        Raises:
            ProgramFailed: one of the two failed.
        """
        form = ["--format=docker-archive"] if self.is_podman else []
        pipe([self.program, "save", *form, image], reader, env=self.environment)

    def _succeeds(self, *arguments: str) -> bool:
        try:
            self.run(*arguments)
        except ProgramFailed:
            return False
        return True


def find_engine() -> Engine:
    """Return docker where its engine answers, else podman.

    Raises:
        ToolMissing: there is neither.
    """
    if program := shutil.which("docker"):
        docker = Engine(program, dict(os.environ))
        if docker.answers():
            return docker
    return podman()


def podman() -> Engine:
    """Return podman.

    Raises:
        ToolMissing: it is not on PATH.
    """
    program = shutil.which("podman")
    if not program:
        raise ToolMissing("no docker engine answers, and podman is not on PATH: install one of them to build images")
    return Engine(program, dict(os.environ, CONTAINERS_CONF=str(_podman_settings())))


def _podman_settings() -> Path:
    files = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], _MOST_FILES)
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    processes = _MOST_PROCESSES if hard == resource.RLIM_INFINITY else min(hard, _MOST_PROCESSES)
    lines = [
        "[containers]",
        f'default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]',
        "[network]",
        'network_backend = "netavark"',
        "[engine]",
        'cgroup_manager = "cgroupfs"',
        'events_logger = "file"',
    ]
    if runc := shutil.which("runc"):
        lines += ['runtime = "runc"', "[engine.runtimes]", f'runc = ["{runc}"]']
    path = cache_folder() / "containers.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path
