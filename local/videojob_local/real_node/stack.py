"""A control plane, an S3 server and a real node, put together: what the end-to-end tests install the chart onto."""

import shutil
from pathlib import Path

from videojob_local.binaries import Binaries
from videojob_local.control_plane import ControlPlane
from videojob_local.images.engine import Engine
from videojob_local.processes import Processes
from videojob_local.real_node.network import Network
from videojob_local.real_node.node import USERS, RealNode
from videojob_local.s3 import S3Server


class RealStack:
    """One such stack in one folder.

    Args:
        folder: its state; on a real disk, and not below /run, /var/lib or /var/log.
        binaries: the programs of the control plane.
        gpus: how many H100 the node pretends to have.
    """

    def __init__(self, folder: Path, binaries: Binaries, *, gpus: int = 2) -> None:
        self.folder = folder
        self.binaries = binaries
        self.network = Network()
        self.processes = Processes(folder)
        self.control_plane = ControlPlane(
            folder,
            binaries,
            self.processes,
            node_names=(self.network.name,),
            address=self.network.host,
            node_address=self.network.node,
            users=USERS,
        )
        self.s3 = S3Server(folder, self.processes, address=self.network.host)
        self.node = RealNode(folder / "node", self.control_plane, self.processes, self.network, gpus=gpus)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.control_plane.kubeconfig

    def start(self, engine: Engine, images: list[str]) -> None:
        """Start all parts; return when the node is ready.

        Raises:
            PartFailed: a part ended or was not ready in time; what was started stays for `stop`.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.node.open()  # first: control plane and S3 server listen on the machine's end of its network
        self.control_plane.start()
        self.s3.start()
        self.node.start(engine, images)

    def stop(self) -> None:
        """End all parts and remove the state."""
        self.node.stop()
        self.control_plane.stop()
        self.s3.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
