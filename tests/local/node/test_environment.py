import base64
import json
from pathlib import Path
from typing import Any

import pytest

from videojob_local.node.environment import EnvironmentResolver, base_environment, inherited, kubeconfig
from videojob_local.node.errors import ApiError, NotReadyYet
from videojob_local.node.rewriting import PathRewriter
from videojob_local.node.sources import Sources

POD: dict[str, Any] = {"metadata": {"name": "cat", "namespace": "studio", "uid": "u-1"}, "spec": {"nodeName": "local"}}
REWRITER = PathRewriter({"/tmp": "/pod/tmp"})
OBJECTS = {
    "/api/v1/namespaces/studio/configmaps/settings": {
        "data": {"FOLDER": "/tmp/a", "MODE": "fast"},
        "binaryData": {"BLOB": base64.b64encode(b"\0\1").decode()},
    },
    "/api/v1/namespaces/studio/secrets/keys": {"data": {"PASSWORD": base64.b64encode(b"/tmp").decode()}},
}


class ObjectsOnly:
    """An API server that has the objects above."""

    async def call(self, _method: str, path: str) -> dict[str, Any]:
        if path not in OBJECTS:
            raise ApiError(404, f"{path} not found")
        return OBJECTS[path]


async def resolve(container: dict[str, Any], **base: str) -> dict[str, str]:
    resolver = EnvironmentResolver(Sources(ObjectsOnly()), "127.0.0.1", {"cpu": "8"})  # type: ignore[arg-type]
    return await resolver.resolve(POD, {"name": "main", **container}, base, REWRITER)


async def test_values_may_refer_to_earlier_ones() -> None:
    env = [{"name": "A", "value": "x"}, {"name": "B", "value": "$(A)$(C)"}, {"name": "C", "value": "$(B)$$"}]
    assert await resolve({"env": env}) == {"A": "x", "B": "x$(C)", "C": "x$(C)$"}


async def test_the_spec_wins_over_the_node_and_env_over_env_from() -> None:
    source = [{"configMapRef": {"name": "settings"}}]
    env = [{"name": "MODE", "value": "slow"}]
    assert await resolve({"env": env, "envFrom": source}, FOLDER="node", HOME="/home") == {
        "HOME": "/home",
        "FOLDER": "/pod/tmp/a",
        "MODE": "slow",
    }


async def test_env_from_takes_a_prefix_and_leaves_binary_data_out() -> None:
    resolved = await resolve({"envFrom": [{"prefix": "X_", "configMapRef": {"name": "settings"}}]})
    assert resolved == {"X_FOLDER": "/pod/tmp/a", "X_MODE": "fast"}


async def test_a_secret_is_never_rewritten() -> None:
    reference = {"secretKeyRef": {"name": "keys", "key": "PASSWORD"}}
    resolved = await resolve(
        {"env": [{"name": "P", "valueFrom": reference}], "envFrom": [{"secretRef": {"name": "keys"}}]}
    )
    assert resolved == {"P": "/tmp", "PASSWORD": "/tmp"}


async def test_fields_and_resources_of_the_pod() -> None:
    pod_with_container = {**POD, "spec": {"nodeName": "local", "containers": [{"name": "main"}]}}
    env = [
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
    ]
    resolver = EnvironmentResolver(Sources(ObjectsOnly()), "127.0.0.1", {"cpu": "8"})  # type: ignore[arg-type]
    resolved = await resolver.resolve(pod_with_container, {"name": "main", "env": env}, {}, REWRITER)
    assert resolved == {"NODE": "local", "CPUS": "8"}


async def test_what_is_missing_makes_the_container_wait() -> None:
    with pytest.raises(NotReadyYet, match="couldn't find key OTHER in Secret studio/keys") as missing:
        await resolve({"env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "OTHER"}}}]})
    assert missing.value.reason == "CreateContainerConfigError"
    with pytest.raises(ApiError, match="404"):
        await resolve({"envFrom": [{"secretRef": {"name": "none"}}]})


async def test_what_is_optional_may_be_missing() -> None:
    key = {"secretKeyRef": {"name": "keys", "key": "OTHER", "optional": True}}
    whole = [{"configMapRef": {"name": "none", "optional": True}}]
    assert await resolve({"env": [{"name": "P", "valueFrom": key}], "envFrom": whole}) == {}


def test_little_of_the_agents_environment_passes() -> None:
    passed = inherited(
        {
            "PATH": "/bin",
            "LD_LIBRARY_PATH": "/cuda",
            "HF_TOKEN": "t",
            "https_proxy": "http://proxy",
            "NO_PROXY": "intern",
            "SSL_CERT_FILE": "/ca.pem",
            "AWS_SECRET_ACCESS_KEY": "never",
            "CUDA_VISIBLE_DEVICES": "3",
            "PYTHONPATH": "/src",
        }
    )
    assert passed.pop("PATH").endswith(":/bin")
    assert passed == {
        "LD_LIBRARY_PATH": "/cuda",
        "HF_TOKEN": "t",
        "https_proxy": "http://proxy",
        "NO_PROXY": "intern,127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "SSL_CERT_FILE": "/ca.pem",
    }


def test_the_node_tells_a_pod_where_the_api_server_is() -> None:
    base = base_environment(POD, Path("/p"), Path("/p/work"), Path("/p/message"), "https://127.0.0.1:6443")
    assert (base["KUBERNETES_SERVICE_HOST"], base["KUBERNETES_SERVICE_PORT"]) == ("127.0.0.1", "6443")
    assert base["HOSTNAME"] == "cat"


def test_the_kubeconfig_reads_the_token_from_the_mounted_folder() -> None:
    config = json.loads(kubeconfig("https://127.0.0.1:6443", "/p/token-volume", "studio"))
    assert config["users"][0]["user"] == {"tokenFile": "/p/token-volume/token"}
    assert config["clusters"][0]["cluster"]["certificate-authority"] == "/p/token-volume/ca.crt"
    assert config["contexts"][0]["context"]["namespace"] == "studio"
