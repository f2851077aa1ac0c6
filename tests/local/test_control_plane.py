"""The control plane is a real one, and as closed as a real one: what a cluster refuses is refused here."""

import json
import socket
import ssl
from pathlib import Path

import httpx
import pytest
from cluster import Cluster, Kubectl, wait_for

from videojob_local.control_plane import ControlPlane
from videojob_local.pki import KeyPair
from videojob_local.stack import Stack

pytestmark = pytest.mark.cluster
READY = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'


def ask(stack: Stack, path: str, pair: KeyPair | None = None, token: str = "") -> int:
    """Return the status of a GET with a certificate, a token or nothing."""
    tls = ssl.create_default_context(cafile=stack.control_plane.ca)
    if pair:
        tls.load_cert_chain(pair.cert, pair.key)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=stack.control_plane.server, verify=tls, headers=headers) as client:
        return client.get(path).status_code


def test_the_api_server_knows_its_version_and_serves_videojobs(stack: Stack, kubectl: Kubectl) -> None:
    assert json.loads(kubectl.run("version", "--output=json"))["serverVersion"]["gitVersion"] == "v1.36.3"
    assert "videojobs" in kubectl.run("api-resources", "--api-group=videojob.dev")


def test_a_caller_without_credentials_is_refused(stack: Stack) -> None:
    assert ask(stack, "/version") == 401


def test_a_node_reads_no_secrets_that_none_of_its_pods_uses(stack: Stack, cluster: Cluster) -> None:
    cluster.kubectl.run("create", "secret", "generic", "key", "--from-literal=a=b", f"--namespace={cluster.namespace}")
    path = f"/api/v1/namespaces/{cluster.namespace}/secrets/key"
    assert ask(stack, path, stack.control_plane.node_credentials("local")) == 403
    assert ask(stack, path, stack.control_plane.admin_credentials()) == 200


def test_etcd_refuses_every_certificate_of_the_cluster(stack: Stack) -> None:
    arguments = json.loads((stack.folder / "control-plane/kube-apiserver.json").read_text())
    etcd = httpx.URL(next(value.split("=")[1] for value in arguments if value.startswith("--etcd-servers")))
    tls = ssl.create_default_context(cafile=stack.folder / "control-plane/pki/etcd-ca.crt")
    admin = stack.control_plane.admin_credentials()
    tls.load_cert_chain(admin.cert, admin.key)
    with (
        socket.create_connection((etcd.host, etcd.port or 0)) as connection,
        tls.wrap_socket(connection, server_hostname="localhost") as etcd_socket,
        pytest.raises(ssl.SSLError, match=r"(?i)alert"),
    ):
        etcd_socket.recv(1)


def test_private_keys_and_kubeconfigs_are_for_their_owner_alone(stack: Stack) -> None:
    secrets = [*stack.folder.rglob("*.key"), *stack.folder.rglob("*.kubeconfig"), stack.folder / "s3/storage.json"]
    assert len(secrets) > 10
    assert {oct(path.stat().st_mode & 0o777) for path in secrets} == {"0o600"}


def test_a_service_account_acts_with_its_own_rights(cluster: Cluster, tmp_path: Path) -> None:
    kubeconfig = cluster.service_account_kubeconfig("default", tmp_path / "kubeconfig")
    whoami = Kubectl(cluster.stack.binaries, kubeconfig)
    assert f"system:serviceaccount:{cluster.namespace}:default" in whoami.run("auth", "whoami")
    assert whoami("get", "videojobs").returncode == 1


def test_a_pod_that_does_not_fit_is_looked_at_again_after_a_second(stack: Stack) -> None:
    scheduler = json.loads((stack.folder / "control-plane/kube-scheduler.json").read_text())
    assert (scheduler["podInitialBackoffSeconds"], scheduler["podMaxBackoffSeconds"]) == (1, 1)


def test_the_api_server_comes_back_with_its_objects(stack: Stack, namespace: str, kubectl: Kubectl) -> None:
    stack.control_plane.stop_api_server()
    assert not stack.control_plane.is_ready()
    stack.control_plane.start_api_server()
    assert namespace in kubectl.run("get", "namespace", namespace)
    wait_for(lambda: "True" in kubectl.run("get", "node", "local", "-o", READY), "readiness of the node")


def test_the_server_of_a_control_plane_is_read_from_its_folder(stack: Stack) -> None:
    again = ControlPlane(stack.folder, stack.binaries, stack.processes)
    assert again.server == stack.control_plane.server
    assert again.is_ready()
