"""How to reach the API server: the kubeconfig named by KUBECONFIG, else the pod's own service account.

A token is read from its file for each request, because the kubelet replaces it before it expires.
"""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from videojob.errors import ConfigurationError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Credentials:
    """The API server and who we are to it.

    Attributes:
        server: URL.
        tls: trusts the server's authority, and carries the client certificate where there is one.
        token_file: None with a client certificate.
        namespace: the default one.
    """

    server: str
    tls: ssl.SSLContext
    token_file: Path | None
    namespace: str

    def session(self, *, connections: int, timeout_seconds: float) -> aiohttp.ClientSession:
        """Open a session that authenticates each request. The caller closes it."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ssl=self.tls),
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            middlewares=(self._authenticate,),
        )

    async def _authenticate(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if self.token_file:
            # Some hundred bytes from memory: not worth a thread.
            request.headers["Authorization"] = f"Bearer {self.token_file.read_text().strip()}"
        return await handler(request)


def find_credentials(env: Mapping[str, str] = os.environ) -> Credentials:
    """Find the credentials.

    Raises:
        ConfigurationError: there are none, or they cannot be read.
    """
    try:
        if path := env.get("KUBECONFIG"):
            return _from_kubeconfig(Path(path))
        return _in_cluster(env)
    except (OSError, KeyError, IndexError, TypeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"no usable Kubernetes credentials: {error!r}") from error


def _in_cluster(env: Mapping[str, str]) -> Credentials:
    host, port = env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"]
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    tls = ssl.create_default_context(cafile=SERVICE_ACCOUNT / "ca.crt")
    namespace = (SERVICE_ACCOUNT / "namespace").read_text().strip()
    return Credentials(server, tls, SERVICE_ACCOUNT / "token", namespace)


def _from_kubeconfig(path: Path) -> Credentials:
    config = yaml.safe_load(path.read_text())
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    tls = ssl.create_default_context(cafile=path.parent / cluster["certificate-authority"])
    if "client-certificate" in user:
        tls.load_cert_chain(path.parent / user["client-certificate"], path.parent / user["client-key"])
    token_file = path.parent / user["tokenFile"] if "tokenFile" in user else None
    return Credentials(cluster["server"].rstrip("/"), tls, token_file, context.get("namespace", "default"))


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)
