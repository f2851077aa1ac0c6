"""The process node as a part of the stack: started and stopped here, written in videojob_local.node."""

import json
import sys
from pathlib import Path

from videojob_local.control_plane import LOG_CLIENT, ControlPlane
from videojob_local.node.state import StateFolder
from videojob_local.paths import host_folders
from videojob_local.ports import free_port
from videojob_local.processes import Part, Processes

GRACE_SECONDS = 45
"""More than the node gives its pods to end."""


class ProcessNode:
    """One node whose pods are processes.

    Args:
        folder: state of the stack.
        control_plane: the one to join; it must have issued a certificate for this name.
        images: image pattern -> command line that stands for the image's entry point.
        gpus: GPUs to offer, pretended where there are fewer; None = those of the machine, or one.
        cpus: CPUs to offer; None = those of the machine.
    """

    def __init__(
        self,
        folder: Path,
        control_plane: ControlPlane,
        processes: Processes,
        *,
        images: dict[str, list[str]],
        name: str = "local",
        gpus: int | None = None,
        cpus: int | None = None,
    ) -> None:
        self.name = name
        self.part_name = "node" if name == "local" else f"node-{name}"
        self._folder = folder / self.part_name
        self._control_plane = control_plane
        self._processes = processes
        self._images = images
        self._gpus = gpus
        self._cpus = cpus

    def start(self) -> Part:
        """Start the node agent; it registers by itself."""
        credentials = self._control_plane.node_credentials(self.name)
        command = [
            *(sys.executable, "-m", "videojob_local.node"),
            f"--server={self._control_plane.server}",
            f"--ca={self._control_plane.ca}",
            f"--cert={credentials.cert}",
            f"--key={credentials.key}",
            f"--name={self.name}",
            f"--state={self._folder}",
            f"--images={json.dumps(self._images)}",
            f"--port={free_port()}",
            f"--log-client={LOG_CLIENT}",
            *(f"--host-folder={folder}" for folder in host_folders()),
        ]
        if self._gpus is not None:
            command.append(f"--gpus={self._gpus}")
        if self._cpus is not None:
            command.append(f"--cpus={self._cpus}")
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._processes.start(self.part_name, command)

    def stop(self) -> None:
        """End the agent, which first ends its pods; end them here where it was killed before it could."""
        self._processes.stop(self.part_name, GRACE_SECONDS)
        if self._folder.exists():
            with StateFolder(self._folder) as state:
                state.end_orphans()


def product_images() -> dict[str, list[str]]:
    """Map the images of this project to its programs in the environment that runs now."""
    return {
        f"*videojob-{part}:*": [sys.executable, "-m", f"videojob_{part}"] for part in ("operator", "api", "renderer")
    }
