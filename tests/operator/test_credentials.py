"""Kubeconfigs as people and tools write them are understood; what is missing is named."""

import base64
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from videojob.errors import ConfigurationError
from videojob_operator.credentials import Credentials, find_credentials


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate and its key."""
    folder = tmp_path_factory.mktemp("pair")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=test -days 1"
    subprocess.run(
        [*command.split(), "-keyout", folder / "tls.key", "-out", folder / "tls.crt"], check=True, capture_output=True
    )
    return folder


def write(folder: Path, user: dict[str, Any], cluster: dict[str, Any] | None = None) -> dict[str, str]:
    """Write a kubeconfig and return the environment that names it."""
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "studio"}}],
        "clusters": [
            {
                "name": "c",
                "cluster": {"server": "https://10.0.0.1:6443/", "certificate-authority": "ca.crt"} | (cluster or {}),
            }
        ],
        "users": [{"name": "u", "user": user}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return {"KUBECONFIG": str(path)}


@pytest.fixture
def folder(tmp_path: Path, pair: Path) -> Path:
    """Where the kubeconfig lies, with the files it names by relative paths."""
    (tmp_path / "ca.crt").write_bytes((pair / "tls.crt").read_bytes())
    (tmp_path / "tls.crt").write_bytes((pair / "tls.crt").read_bytes())
    (tmp_path / "tls.key").write_bytes((pair / "tls.key").read_bytes())
    (tmp_path / "token").write_text("first\n")
    return tmp_path


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_a_token_file_is_found_beside_the_kubeconfig(folder: Path) -> None:
    found = find_credentials(write(folder, {"tokenFile": "token"}))
    assert (found.server, found.namespace) == ("https://10.0.0.1:6443", "studio")
    assert found.token_file == folder / "token"
    assert len(found.tls.get_ca_certs()) == 1


def test_a_client_certificate_may_be_a_file_or_stand_in_the_kubeconfig(folder: Path) -> None:
    assert (
        find_credentials(write(folder, {"client-certificate": "tls.crt", "client-key": "tls.key"})).token_file is None
    )
    inline = {
        "client-certificate-data": encoded(folder / "tls.crt"),
        "client-key-data": encoded(folder / "tls.key"),
    }
    authority = {"certificate-authority": None, "certificate-authority-data": encoded(folder / "ca.crt")}
    assert len(find_credentials(write(folder, inline, authority)).tls.get_ca_certs()) == 1


@pytest.mark.parametrize(
    ("user", "complaint"),
    [
        ({}, "has no tokenFile or client-certificate of user u"),
        ({"exec": {"command": "login"}}, "has no tokenFile or client-certificate of user u"),
        ({"client-certificate": "tls.crt"}, "has no client-key"),
        ({"client-certificate": "gone.crt", "client-key": "tls.key"}, "No such file"),
    ],
)
def test_what_a_kubeconfig_lacks_is_named(folder: Path, user: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        find_credentials(write(folder, user))


def test_a_context_that_is_not_there_is_named(folder: Path) -> None:
    env = write(folder, {"tokenFile": "token"})
    config = Path(env["KUBECONFIG"])
    config.write_text(config.read_text().replace("current-context: here", "current-context: there"))
    with pytest.raises(ConfigurationError, match="has no context there"):
        find_credentials(env)


def test_a_kubeconfig_that_is_no_yaml_is_one_sentence(folder: Path) -> None:
    (folder / "kubeconfig").write_text("{")
    with pytest.raises(ConfigurationError, match="no usable Kubernetes credentials"):
        find_credentials({"KUBECONFIG": str(folder / "kubeconfig")})


async def test_a_rotated_token_is_used_at_once(folder: Path) -> None:
    seen = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.Response()

    app = web.Application()
    app.router.add_get("/", answer)
    server = TestServer(app)
    await server.start_server()
    url = str(server.make_url("/"))
    credentials = Credentials(url, ssl.create_default_context(), folder / "token", "studio")
    async with credentials.session(connections=1, timeout_seconds=10) as session:
        await session.get(url)
        (folder / "token").write_text("second\n")
        await session.get(url)
    await server.close()
    assert seen == ["Bearer first", "Bearer second"]
