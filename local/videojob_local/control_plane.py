"""A real Kubernetes control plane on loopback: etcd, API server, controller manager and scheduler as processes.

TLS everywhere, tokens bound to pods that really expire, node authorizer and NodeRestriction as in a cluster. State
lies in one folder. The parts end in reverse order, each waited for: an API server whose etcd is gone never ends on
SIGTERM.
"""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from videojob_local.binaries import Binaries
from videojob_local.pki import CLIENT, SERVER, Authority, KeyPair, service_account_keys
from videojob_local.ports import LOOPBACK, free_port
from videojob_local.processes import Part, Processes
from videojob_local.waiting import wait_until

READY_SECONDS = 90
LOG_CLIENT = "kube-apiserver-kubelet-client"
"""Common name of the certificate with which the API server reads logs from nodes."""

_ISSUER = "https://kubernetes.default.svc"
_SERVICE_RANGE = "10.96.0.0/24"
_SERVICE_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "10.96.0.1")
_STOP_ORDER = ("kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd")
_GRACE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class _Credentials:
    """All certificates of one control plane."""

    ca: Path
    etcd_ca: Path
    etcd: KeyPair
    etcd_client: KeyPair
    apiserver: KeyPair
    kubelet_client: KeyPair
    service_accounts: KeyPair
    nodes: dict[str, KeyPair]


class ControlPlane:
    """One control plane in one folder.

    Args:
        folder: everything it writes goes there.
        binaries: the programs.
        processes: where its processes are recorded.
        node_names: nodes that may join; their certificates are issued at the start, the authority's key is not kept.
        address: where the API server listens, and where its Service in the cluster leads.
        node_address: of the nodes, where the API server reads their logs.
        users: further clients to issue certificates for: file name -> user.
    """

    def __init__(
        self,
        folder: Path,
        binaries: Binaries,
        processes: Processes,
        node_names: tuple[str, ...] = ("local",),
        *,
        address: str = LOOPBACK,
        node_address: str = LOOPBACK,
        users: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder / "control-plane"
        self._binaries = binaries
        self._processes = processes
        self._node_names = node_names
        self._address = address
        self._node_address = node_address
        self._users = users or {}

    @property
    def ca(self) -> Path:
        """The certificate authority of the API server and of its clients."""
        return self._folder / "pki/kubernetes.crt"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self._folder / "admin.kubeconfig"

    @cached_property
    def server(self) -> str:
        """URL of the API server."""
        url: str = json.loads(self.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
        return url

    def node_credentials(self, name: str) -> KeyPair:
        """Return the certificate of `system:node:NAME`, client and server."""
        return KeyPair(self._folder / f"pki/node-{name}.crt", self._folder / f"pki/node-{name}.key")

    def admin_credentials(self) -> KeyPair:
        """Return the administrator's client certificate."""
        return self.client_credentials("admin")

    def client_credentials(self, name: str) -> KeyPair:
        """Return the client certificate of one of `users`."""
        return KeyPair(self._folder / f"pki/{name}.crt", self._folder / f"pki/{name}.key")

    def start(self) -> None:
        """Start all parts; return when the API server is ready.

        Raises:
            PartFailed: a part ended or was not ready in time.
        """
        credentials = self._issue()
        etcd_url = f"https://{LOOPBACK}:{free_port()}"
        self._start_etcd(credentials, etcd_url)
        server = f"https://{self._address}:{free_port()}"
        self._write_kubeconfigs(server)
        self.start_api_server(self._api_server_arguments(credentials, etcd_url, server))
        for name in ("kube-controller-manager", "kube-scheduler"):
            self._processes.start(name, [self._binaries[name], *self._client_arguments(name, credentials)])

    def start_api_server(self, arguments: list[str] | None = None) -> None:
        """Start the API server and wait until it is ready; without arguments, with those of its last start."""
        saved = self._folder / "kube-apiserver.json"
        if arguments is None:
            arguments = json.loads(saved.read_text())
        saved.write_text(json.dumps(arguments))
        part = self._processes.start("kube-apiserver", [self._binaries["kube-apiserver"], *arguments])
        self._wait_ready(part)

    def stop_api_server(self) -> None:
        """End the API server alone, as an outage."""
        self._processes.stop("kube-apiserver", _GRACE_SECONDS)

    def stop(self) -> None:
        """End all parts in order."""
        for name in _STOP_ORDER:
            self._processes.stop(name, _GRACE_SECONDS)

    def is_ready(self) -> bool:
        """Ask the API server whether it is ready."""
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(*map(str, (self.admin_credentials().cert, self.admin_credentials().key)))
        try:
            with urllib.request.urlopen(f"{self.server}/readyz", context=context, timeout=2) as answer:  # noqa: S310 - https
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _wait_ready(self, part: Part) -> None:
        wait_until(
            self.is_ready,
            "readiness of kube-apiserver",
            seconds=READY_SECONDS,
            check=lambda: self._processes.check(part),
        )

    def _issue(self) -> _Credentials:
        pki = self._folder / "pki"
        ca, etcd_ca = Authority(pki, "kubernetes"), Authority(pki, "etcd-ca")
        ca.issue("admin", "admin", CLIENT, organization="system:masters")
        ca.issue("kube-controller-manager", "system:kube-controller-manager", CLIENT)
        ca.issue("kube-scheduler", "system:kube-scheduler", CLIENT)
        for file_name, user in self._users.items():
            ca.issue(file_name, user, CLIENT)
        return _Credentials(
            ca=ca.path,
            etcd_ca=etcd_ca.path,
            etcd=etcd_ca.issue("etcd", "etcd", SERVER, CLIENT),
            etcd_client=etcd_ca.issue("etcd-client", "kube-apiserver", CLIENT),
            apiserver=ca.issue("kube-apiserver", "kube-apiserver", SERVER, host_names=(*_SERVICE_NAMES, self._address)),
            kubelet_client=ca.issue("kubelet-client", LOG_CLIENT, CLIENT),
            service_accounts=service_account_keys(pki),
            nodes={
                name: ca.issue(
                    f"node-{name}",
                    f"system:node:{name}",
                    *(CLIENT, SERVER),
                    organization="system:nodes",
                    host_names=(self._node_address,),
                )
                for name in self._node_names
            },
        )

    def _start_etcd(self, credentials: _Credentials, url: str) -> None:
        peer = f"https://{LOOPBACK}:{free_port()}"
        pair, ca = credentials.etcd, credentials.etcd_ca
        self._processes.start(
            "etcd",
            [
                self._binaries["etcd"],
                f"--data-dir={self._folder / 'etcd'}",
                "--name=default",
                f"--listen-client-urls={url}",
                f"--advertise-client-urls={url}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                "--unsafe-no-fsync",  # a stack for demo and tests: what a power cut takes is not missed
                *(f"--{role}cert-file={pair.cert}" for role in ("", "peer-")),
                *(f"--{role}key-file={pair.key}" for role in ("", "peer-")),
                *(f"--{role}trusted-ca-file={ca}" for role in ("", "peer-")),
                *(f"--{role}client-cert-auth" for role in ("", "peer-")),
            ],
        )

    def _api_server_arguments(self, credentials: _Credentials, etcd_url: str, server: str) -> list[str]:
        return [
            f"--etcd-servers={etcd_url}",
            f"--etcd-cafile={credentials.etcd_ca}",
            f"--etcd-certfile={credentials.etcd_client.cert}",
            f"--etcd-keyfile={credentials.etcd_client.key}",
            f"--secure-port={server.rsplit(':', 1)[1]}",
            f"--bind-address={self._address}",
            f"--advertise-address={self._address}",
            f"--tls-cert-file={credentials.apiserver.cert}",
            f"--tls-private-key-file={credentials.apiserver.key}",
            f"--client-ca-file={credentials.ca}",
            f"--service-account-key-file={credentials.service_accounts.cert}",
            f"--service-account-signing-key-file={credentials.service_accounts.key}",
            f"--service-account-issuer={_ISSUER}",
            f"--api-audiences={_ISSUER}",
            "--service-account-extend-token-expiration=false",
            f"--service-cluster-ip-range={_SERVICE_RANGE}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            # Pods of a process node are told the address itself; the Service `kubernetes` leads nowhere from there.
            f"--endpoint-reconciler-type={'none' if self._address == LOOPBACK else 'lease'}",
            "--anonymous-auth=false",
            "--profiling=false",
            f"--kubelet-client-certificate={credentials.kubelet_client.cert}",
            f"--kubelet-client-key={credentials.kubelet_client.key}",
            f"--kubelet-certificate-authority={credentials.ca}",
            "--kubelet-preferred-address-types=InternalIP",
        ]

    def _client_arguments(self, name: str, credentials: _Credentials) -> list[str]:
        kubeconfig = self._folder / f"{name}.kubeconfig"
        common = ["--leader-elect=false", "--secure-port=0"]
        if name == "kube-scheduler":
            return [f"--config={self._scheduler_configuration(kubeconfig)}", "--secure-port=0"]
        return [
            *common,
            f"--kubeconfig={kubeconfig}",
            f"--service-account-private-key-file={credentials.service_accounts.key}",
            f"--root-ca-file={credentials.ca}",
            "--use-service-account-credentials=true",
        ]

    def _scheduler_configuration(self, kubeconfig: Path) -> Path:
        """Write the scheduler's settings: a pod that did not fit is looked at again after one second, not after ten."""
        path = self._folder / "kube-scheduler.json"
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "kubescheduler.config.k8s.io/v1",
                    "kind": "KubeSchedulerConfiguration",
                    "clientConnection": {"kubeconfig": str(kubeconfig)},
                    "leaderElection": {"leaderElect": False},
                    "podInitialBackoffSeconds": 1,
                    "podMaxBackoffSeconds": 1,
                }
            )
        )
        return path

    def _write_kubeconfigs(self, server: str) -> None:
        for name in ("admin", "kube-controller-manager", "kube-scheduler"):
            pair = {
                "client-certificate": str(self._folder / f"pki/{name}.crt"),
                "client-key": str(self._folder / f"pki/{name}.key"),
            }
            write_kubeconfig(self._folder / f"{name}.kubeconfig", server, self.ca, pair)


def write_kubeconfig(path: Path, server: str, ca: Path, user: dict[str, str], namespace: str = "default") -> None:
    """Write a kubeconfig with one context; `user` is the entry's content, such as {"tokenFile": …}."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "videojob",
        "clusters": [{"name": "videojob", "cluster": {"server": server, "certificate-authority": str(ca)}}],
        "users": [{"name": "videojob", "user": user}],
        "contexts": [
            {"name": "videojob", "context": {"cluster": "videojob", "user": "videojob", "namespace": namespace}}
        ],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=1))
