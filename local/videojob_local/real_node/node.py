"""One real node: its namespace, containerd, kubelet, kube-proxy and DNS, joined to a control plane."""

import json
import shutil
import tempfile
from pathlib import Path

import psutil

from videojob_local.binaries import ensure_binaries
from videojob_local.control_plane import ControlPlane, write_kubeconfig
from videojob_local.errors import ProgramFailed
from videojob_local.images.engine import Engine
from videojob_local.processes import Processes
from videojob_local.programs import output_of
from videojob_local.real_node import cgroups, configuration
from videojob_local.real_node.configuration import PAUSE_IMAGE, Folders
from videojob_local.real_node.network import Network
from videojob_local.real_node.tools import DNS, KUBELET
from videojob_local.waiting import wait_until

USERS = {"kube-proxy": "system:kube-proxy", "coredns": "system:coredns"}
"""Clients of the API server that a real node brings: file name -> user."""

_NAMESPACE = "node-namespace"
_PARTS = ("coredns", "kube-proxy", "kubelet", "containerd")
_START_SECONDS = 60
_READY_SECONDS = 120


class RealNode:
    """One node in one folder.

    Args:
        folder: its state; on a real disk, because images are unpacked there.
        control_plane: the one to join; it listens on the machine's end of the network and knows USERS.
        processes: where its processes are recorded.
        network: names and addresses.
        gpus: how many H100 it pretends to have.
    """

    def __init__(
        self, folder: Path, control_plane: ControlPlane, processes: Processes, network: Network, *, gpus: int
    ) -> None:
        self._folders = Folders(folder)
        self._control_plane = control_plane
        self._processes = processes
        self._network = network
        self._gpus = gpus

    def open(self) -> None:
        """Make the namespace and its network, so that others can listen on the machine's end of it."""
        shutil.rmtree(self._folders.root / "run", ignore_errors=True)
        self._folders.make()
        cgroups.make(self._network.name)
        script = configuration.first_process(self._folders, self._network)
        namespaces = ["--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "--propagation=private"]
        part = self._processes.start(_NAMESPACE, ["unshare", *namespaces, "bash", script])
        wait_until(
            lambda: bool(psutil.Process(part.pid).children()),
            "the start of the node's namespace",
            seconds=_START_SECONDS,
            check=lambda: self._processes.check(part),
        )
        self._network.connect(self._init_pid())
        ready = self._folders.root / "run/ready"
        wait_until(
            ready.exists, "the node's network", seconds=_START_SECONDS, check=lambda: self._processes.check(part)
        )

    def start(self, engine: Engine, images: list[str]) -> None:
        """Start containerd, take the images in, start the rest; return when the node is ready.

        Args:
            engine: whose store holds the images.
            images: names of those that pods need.

        Raises:
            PartFailed: a part ended, or the node was not ready in time.
        """
        self._start_containerd()
        for image in (_pause_image(engine), *images):
            self.load(engine, image)
        self._start_kubelet()
        self._start_proxy_and_dns()
        wait_until(self._is_ready, f"readiness of node {self._network.name}", seconds=_READY_SECONDS)
        gpus = {"nvidia.com/gpu": str(self._gpus)}
        self._kubectl(
            *("patch", "node", self._network.name, "--subresource=status", "--type=merge"),
            f"--patch={json.dumps({'status': {'capacity': gpus, 'allocatable': gpus}})}",
        )

    def load(self, engine: Engine, image: str) -> None:
        """Copy an image from the store of docker or podman into containerd."""
        address = f"--address={self._folders.containerd_socket}"
        engine.send(image, ["ctr", address, "--namespace=k8s.io", "images", "import", "-"])

    def stop(self) -> None:
        """End the namespace, and so all that is in it; nothing of the node is left on the machine."""
        self._processes.stop(_NAMESPACE, 0)
        for part in _PARTS:
            self._processes.stop(part, 0)
        self._network.disconnect()
        cgroups.remove(self._network.name)
        shutil.rmtree(self._folders.root, ignore_errors=True)

    def _init_pid(self) -> int:
        part = next(part for part in self._processes.all() if part.name == _NAMESPACE)
        return int(psutil.Process(part.pid).children()[0].pid)

    def _start_inside(self, name: str, *argv: str | Path) -> None:
        enter = ["nsenter", f"--target={self._init_pid()}", "--net", "--pid", "--mount", "--"]
        self._processes.start(name, [*enter, *argv])

    def _start_containerd(self) -> None:
        configuration.cni(self._folders, self._network)
        settings = configuration.containerd(self._folders)
        self._start_inside("containerd", "containerd", f"--config={settings}")
        wait_until(self._containerd_answers, "the start of containerd", seconds=_START_SECONDS)

    def _containerd_answers(self) -> bool:
        try:
            output_of(["ctr", f"--address={self._folders.containerd_socket}", "version"])
        except ProgramFailed:
            return False
        return True

    def _start_kubelet(self) -> None:
        pair = self._control_plane.node_credentials(self._network.name)
        kubeconfig = self._kubeconfig("kubelet", pair.cert, pair.key)
        settings = configuration.kubelet(
            self._folders, self._network, ca=self._control_plane.ca, certificate=pair.cert, key=pair.key
        )
        self._start_inside(
            "kubelet",
            ensure_binaries(KUBELET)["kubelet"],
            f"--config={settings}",
            f"--kubeconfig={kubeconfig}",
            f"--root-dir={self._folders.root / 'kubelet'}",
            f"--hostname-override={self._network.name}",
            f"--node-ip={self._network.node}",
            "--node-labels=nvidia.com/gpu.product=NVIDIA-H100-80GB-HBM3",
        )

    def _start_proxy_and_dns(self) -> None:
        proxy, dns = (self._kubeconfig(name, *self._client(name)) for name in ("kube-proxy", "coredns"))
        settings = configuration.kube_proxy(self._folders, self._network, kubeconfig=proxy)
        self._start_inside("kube-proxy", ensure_binaries(KUBELET)["kube-proxy"], f"--config={settings}")
        self._kubectl("apply", "--filename=-", stdin=dns_manifests(self._network))
        corefile = configuration.coredns(self._folders, self._network, kubeconfig=dns)
        self._start_inside("coredns", ensure_binaries(DNS)["coredns"], f"-conf={corefile}")

    def _client(self, name: str) -> tuple[Path, Path]:
        pair = self._control_plane.client_credentials(name)
        return pair.cert, pair.key

    def _kubeconfig(self, name: str, cert: Path, key: Path) -> Path:
        path = self._folders.settings / f"{name}.kubeconfig"
        user = {"client-certificate": str(cert), "client-key": str(key)}
        write_kubeconfig(path, self._control_plane.server, self._control_plane.ca, user)
        return path

    def _is_ready(self) -> bool:
        path = '{.status.conditions[?(@.type=="Ready")].status}'
        try:
            return self._kubectl("get", "node", self._network.name, f"--output=jsonpath={path}") == "True"
        except ProgramFailed:
            return False

    def _kubectl(self, *arguments: str, stdin: str = "") -> str:
        program = ensure_binaries()["kubectl"]
        return output_of([program, f"--kubeconfig={self._control_plane.kubeconfig}", *arguments], stdin=stdin)


def dns_manifests(network: Network) -> str:
    """Return the Service of the DNS server, its one address, and the rights of its user, as JSON."""
    rule = {
        "apiGroups": ["", "discovery.k8s.io"],
        "resources": ["endpoints", "services", "pods", "namespaces", "endpointslices"],
        "verbs": ["list", "watch"],
    }
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    rbac = "rbac.authorization.k8s.io"
    items = [
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": [rule],
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "system:coredns"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "system:coredns"},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": USERS["coredns"]}],
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system"},
            "spec": {"clusterIP": network.dns, "ports": ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kube-dns-node",
                "namespace": "kube-system",
                "labels": {"kubernetes.io/service-name": "kube-dns"},
            },
            "addressType": "IPv4",
            "ports": ports,
            "endpoints": [{"addresses": [network.node], "conditions": {"ready": True}}],
        },
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _pause_image(engine: Engine) -> str:
    """Return the image that holds a pod's namespaces: Debian's catatonit, which is static and can wait."""
    if not engine.has(PAUSE_IMAGE):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(shutil.which("catatonit") or "/usr/bin/catatonit", folder)
            lines = ["FROM scratch", "COPY catatonit /pause", "USER 65535:65535", 'ENTRYPOINT ["/pause", "-P"]']
            (Path(folder) / "Dockerfile").write_text("\n".join(lines) + "\n")
            engine.run("build", f"--tag={PAUSE_IMAGE}", ".", cwd=Path(folder))
    return PAUSE_IMAGE
