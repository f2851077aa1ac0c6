"""The local stack as a whole: control plane, S3, process node, and the chart on top.

Everything it writes lies in one folder, which `down` removes. What was started is on record before anything else
happens, so `down` ends a stack whose `up` was stopped half-way.
"""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from videojob_local import chart
from videojob_local.binaries import Binaries
from videojob_local.control_plane import ControlPlane, write_kubeconfig
from videojob_local.errors import FolderInUse, PartFailed
from videojob_local.process_node import GRACE_SECONDS, ProcessNode, product_images
from videojob_local.processes import Processes
from videojob_local.s3 import S3Server
from videojob_local.tiny_models import ensure_tiny_models
from videojob_local.waiting import wait_until

NAMESPACE = "videojob"
NODE_READY_SECONDS = 30
NODE_NAMES = ("local", "local2", "test-1", "test-2")
"""Who may join: the stack's own node and, in tests, more of them."""


class Stack:
    """One stack in one folder.

    Args:
        folder: its state.
        binaries: the programs of the control plane.
        more_images: further images of the node: pattern -> command line.
        gpus: GPUs of the node; None = those of the machine, or a pretended one.
    """

    def __init__(
        self,
        folder: Path,
        binaries: Binaries,
        *,
        more_images: dict[str, list[str]] | None = None,
        gpus: int | None = None,
    ) -> None:
        self.folder = folder
        self.binaries = binaries
        self.processes = Processes(folder)
        self.control_plane = ControlPlane(folder, binaries, self.processes, node_names=NODE_NAMES)
        self.s3 = S3Server(folder, self.processes)
        self.images = product_images() | (more_images or {})
        self.node = ProcessNode(folder, self.control_plane, self.processes, images=self.images, gpus=gpus)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.control_plane.kubeconfig

    @property
    def user_kubeconfig(self) -> Path:
        """The administrator's kubeconfig for a person: its namespace is the one of the installed chart."""
        return self.folder / "kubeconfig"

    @property
    def _marker(self) -> Path:
        return self.folder / "videojob-stack"

    @property
    def api_url(self) -> str:
        """URL of the REST API of the installed chart."""
        return f"http://localhost:{self.installed['api_port']}"

    @property
    def installed(self) -> dict[str, Any]:
        """What the chart was installed with: `api_port` and `model` (None: the tiny one)."""
        content: dict[str, Any] = json.loads((self.folder / "install.json").read_text())
        return content

    def exists(self) -> bool:
        """Tell whether there is anything to stop, be it half a stack."""
        return self._marker.exists()

    def is_up(self) -> bool:
        """Tell whether all parts that were started are alive."""
        parts = self.processes.all()
        return bool(parts) and all(part.is_alive() for part in parts) and (self.folder / "install.json").exists()

    def start(self) -> None:
        """Start control plane, S3 and node, with the two independent ones side by side.

        Raises:
            PartFailed: a part ended or was not ready in time.
        """
        self._claim_folder()
        self.processes.open()
        pool = ThreadPoolExecutor()  # Ctrl-C reaches only the main thread, so no start is cut in two
        try:
            for started in [pool.submit(self.control_plane.start), pool.submit(self.s3.start)]:
                started.result()
            pool.submit(self.node.start).result()
        except BaseException:
            self.processes.close()
            raise
        finally:
            pool.shutdown()

    def install(self, *, api_port: int, model: str | None) -> None:
        """Install the chart and wait until operator and API are ready.

        Args:
            api_port: of the REST API.
            model: the default model; None = the tiny one.
        """
        models = ensure_tiny_models()
        values = chart.local_values(
            self.s3.storage,
            api_port=api_port,
            tiny_models=models,
            default_model=model or chart.tiny_name("2b"),
        )
        self.wait_for_node(self.node.name)
        chart.install(self.binaries, self.kubeconfig, NAMESPACE, values)
        pair = self.control_plane.admin_credentials()
        user = {"client-certificate": str(pair.cert), "client-key": str(pair.key)}
        write_kubeconfig(self.user_kubeconfig, self.control_plane.server, self.control_plane.ca, user, NAMESPACE)
        (self.folder / "install.json").write_text(json.dumps({"api_port": api_port, "model": model}))

    def stop(self) -> None:
        """End all parts in their order and remove the state; does nothing where there is none."""
        if not self.exists():
            return
        self.processes.close()
        for part in self.processes.all():
            if part.name.startswith("node-"):  # more nodes than the stack's own, in tests
                self.processes.stop(part.name, GRACE_SECONDS)
        self.node.stop()
        with ThreadPoolExecutor() as pool:
            for stopped in [pool.submit(self.control_plane.stop), pool.submit(self.s3.stop)]:
                stopped.result()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _claim_folder(self) -> None:
        """Make the folder and mark it as ours, because all of it is removed at the end.

        Raises:
            FolderInUse: it holds other things.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.exists() and any(self.folder.iterdir()):
            raise FolderInUse(
                f"{self.folder} holds other files: let VIDEOJOB_STACK_DIR name a folder that is not there"
            )
        self._marker.touch()

    def wait_for_node(self, name: str) -> None:
        """Wait until a node is ready for pods."""
        wait_until(lambda: self._node_is_ready(name), f"readiness of node {name}", seconds=NODE_READY_SECONDS)

    def _node_is_ready(self, name: str) -> bool:
        try:
            node = self.get(f"/api/v1/nodes/{name}")
        except PartFailed:
            return False
        conditions = node.get("status", {}).get("conditions", [])
        return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)

    def get(self, path: str) -> dict[str, Any]:
        """Read an object from the API server as the administrator.

        Raises:
            PartFailed: the API server does not answer, or has no such object.
        """
        pair = self.control_plane.admin_credentials()
        try:
            answer = requests.get(
                self.control_plane.server + path,
                cert=(str(pair.cert), str(pair.key)),
                verify=str(self.control_plane.ca),
                timeout=5,
            )
            answer.raise_for_status()
        except (requests.RequestException, OSError) as error:
            raise PartFailed(f"kube-apiserver does not answer: {error}") from error
        content: dict[str, Any] = answer.json()
        return content
