"""How to reach the API server: the kubeconfig named by KUBECONFIG, else the pod's own service account.

A token is read from its file for each request, because the kubelet replaces it before it expires. Kubeconfigs whose
user is a program (`exec`) are for people, not for an operator, and are refused.
"""

import base64
import os
import ssl
import tempfile
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

    def session(
        self,
        *,
        connections: int,
        timeout_seconds: float,
        middlewares: tuple[aiohttp.ClientMiddlewareType, ...] = (),
    ) -> aiohttp.ClientSession:
        """Open a session that authenticates each request. The caller closes it.

        Args:
            connections: at most so many at once.
            timeout_seconds: of a request as a whole.
            middlewares: each request passes through them first.
        """
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ssl=self.tls),
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            middlewares=(*middlewares, self._authenticate),
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
    path = env.get("KUBECONFIG")
    try:
        return _from_kubeconfig(Path(path)) if path else _in_cluster(env)
    except KeyError as error:
        place = f"{path} has no {error.args[0]}" if path else f"neither KUBECONFIG nor {error.args[0]} is set"
        raise ConfigurationError(f"no usable Kubernetes credentials: {place}") from error
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"no usable Kubernetes credentials: {error}") from error


def _in_cluster(env: Mapping[str, str]) -> Credentials:
    host, port = env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"]
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    tls = ssl.create_default_context(cafile=SERVICE_ACCOUNT / "ca.crt")
    namespace = (SERVICE_ACCOUNT / "namespace").read_text().strip()
    return Credentials(server, tls, SERVICE_ACCOUNT / "token", namespace)


def _from_kubeconfig(path: Path) -> Credentials:
    config = yaml.safe_load(path.read_text())
    context = _named(config, "context", config["current-context"])
    cluster = _named(config, "cluster", context["cluster"])
    user = _named(config, "user", context["user"])
    with tempfile.TemporaryDirectory() as folder:  # the ssl module reads client certificates from files only
        files = _Files(path.parent, Path(folder))
        tls = ssl.create_default_context(cafile=files.of(cluster, "certificate-authority"))
        if "client-certificate" in user or "client-certificate-data" in user:
            tls.load_cert_chain(files.of(user, "client-certificate"), files.of(user, "client-key"))
        elif "tokenFile" not in user:
            raise KeyError(f"tokenFile or client-certificate of user {context['user']}")
    token_file = path.parent / user["tokenFile"] if "tokenFile" in user else None
    return Credentials(cluster["server"].rstrip("/"), tls, token_file, context.get("namespace", "default"))


def _named(config: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    for entry in config[f"{kind}s"]:
        if entry["name"] == name:
            found: dict[str, Any] = entry[kind]
            return found
    raise KeyError(f"{kind} {name}")


@dataclass(frozen=True, slots=True)
class _Files:
    """The files that a kubeconfig names, or holds itself, base64-encoded, in a field with `-data` at its end.

    Attributes:
        base: what relative paths are relative to.
        scratch: where contents are put.
    """

    base: Path
    scratch: Path

    def of(self, entry: dict[str, Any], field: str) -> Path:
        """Return the file of a field."""
        if content := entry.get(f"{field}-data"):
            file = self.scratch / field
            file.write_bytes(base64.b64decode(content))
            return file
        return self.base / str(entry[field])
