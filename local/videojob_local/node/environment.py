"""The environment of a container: what the node gives every Pod, and what the Pod's spec asks for.

A Pod inherits next to nothing from the agent: a variable that is set in somebody's shell must not make a Pod work that
fails elsewhere. What passes is what a machine needs to have at all, to use its GPU, or to reach the model hub from
behind a proxy.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from videojob_local.node.downward import field_value, resource_value
from videojob_local.node.errors import NotReadyYet
from videojob_local.node.expansion import expand
from videojob_local.node.manifest import Manifest
from videojob_local.node.process import MARK
from videojob_local.node.rewriting import PathRewriter
from videojob_local.node.sources import Sources

SERVICE_ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
PASSED = frozenset(
    {
        "PATH",
        "LD_LIBRARY_PATH",  # where some machines keep CUDA and the driver's libraries
        "DYLD_LIBRARY_PATH",
        *_PROXIES,
        *(name.lower() for name in _PROXIES),
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
    }
)
PASSED_PREFIX = "HF_"  # the hub: HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, …
_LOOPBACK = "127.0.0.1,localhost"


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what of the agent's environment passes to every Pod."""
    passed = {name: value for name, value in environment.items() if name in PASSED or name.startswith(PASSED_PREFIX)}
    # `python` in a Pod's command is the interpreter that runs the node.
    passed["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), passed.get("PATH", os.defpath)])
    for name in ("NO_PROXY", "no_proxy"):  # the API server and the Pods are never behind the proxy
        passed[name] = ",".join(filter(None, (passed.get(name), _LOOPBACK)))
    return passed


def base_environment(pod: Manifest, pod_folder: Path, work: Path, message_file: Path, server: str) -> dict[str, str]:
    """Return the variables the node itself sets; the Pod's spec may overwrite them."""
    host, _, port = server.partition("://")[2].rpartition(":")
    return {
        "HOME": str(work),
        "TMPDIR": str(work),
        "LANG": "C.UTF-8",
        "HOSTNAME": pod["metadata"]["name"],
        "TERMINATION_MESSAGE_PATH": str(message_file),
        "KUBERNETES_SERVICE_HOST": host,
        "KUBERNETES_SERVICE_PORT": port,
        MARK: str(pod_folder),
    }


def kubeconfig(server: str, folder: str, namespace: str) -> str:
    """Return a kubeconfig that uses a mounted service account.

    The in-cluster configuration of the client libraries has the folder's path compiled in; a kubeconfig with
    `tokenFile` is read anew when the token is renewed, and leads to the real folder.
    """
    cluster = {"server": server, "certificate-authority": f"{folder}/ca.crt"}
    context = {"cluster": "pod", "user": "pod", "namespace": namespace}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "pod",
        "clusters": [{"name": "pod", "cluster": cluster}],
        "users": [{"name": "pod", "user": {"tokenFile": f"{folder}/token"}}],
        "contexts": [{"name": "pod", "context": context}],
    }
    return json.dumps(document)


class EnvironmentResolver:
    """Resolves `envFrom` and `env` of a container."""

    def __init__(self, sources: Sources, address: str, capacity: Mapping[str, str]) -> None:
        self._sources = sources
        self._address = address
        self._capacity = capacity

    async def resolve(
        self, pod: Manifest, container: Manifest, base: Mapping[str, str], rewriter: PathRewriter
    ) -> dict[str, str]:
        """Return the whole environment of a container.

        Raises:
            ApiError: a ConfigMap or Secret cannot be read now.
            NotReadyYet: a key is missing in one.
        """
        environment = dict(base)
        for source in container.get("envFrom", []):
            environment |= await self._whole(pod, source, rewriter)
        for item in container.get("env", []):
            if "valueFrom" not in item:
                environment[item["name"]] = expand(rewriter.value(item.get("value", "")), environment)
            elif (value := await self._referenced(pod, container, item["valueFrom"], rewriter)) is not None:
                environment[item["name"]] = value
        return environment

    async def _whole(self, pod: Manifest, source: Manifest, rewriter: PathRewriter) -> dict[str, str]:
        kind = "secret" if "secretRef" in source else "configMap"
        data = await self._sources.read(pod["metadata"]["namespace"], kind, source[f"{kind}Ref"])
        prefix = source.get("prefix", "")
        return {f"{prefix}{key}": _text(kind, value, rewriter) for key, value in data.items()}

    async def _referenced(
        self, pod: Manifest, container: Manifest, origin: Manifest, rewriter: PathRewriter
    ) -> str | None:
        """The value of one valueFrom; None for an optional one that is not there."""
        if "fieldRef" in origin:
            return field_value(pod, origin["fieldRef"]["fieldPath"], self._address)
        if "resourceFieldRef" in origin:
            return resource_value(pod, origin["resourceFieldRef"], container["name"], self._capacity)
        kind = "secret" if "secretKeyRef" in origin else "configMap"
        reference = origin[f"{kind}KeyRef"]
        namespace = pod["metadata"]["namespace"]
        data = await self._sources.read(namespace, kind, reference)
        if reference["key"] in data:
            return _text(kind, data[reference["key"]], rewriter)
        if reference.get("optional"):
            return None
        where = f"{kind[0].upper()}{kind[1:]} {namespace}/{reference['name']}"
        raise NotReadyYet("CreateContainerConfigError", f"couldn't find key {reference['key']} in {where}")


def _text(kind: str, value: bytes, rewriter: PathRewriter) -> str:
    """A variable's text; a secret is never changed, whatever it looks like."""
    text = value.decode(errors="surrogateescape")
    return text if kind == "secret" else rewriter.value(text)
