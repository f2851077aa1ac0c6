"""An administrator's client, a node that all tests share, one that a test may end, and a namespace a test."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from tests.local.node.rig import Kube, Node, Studio

from videojob_local.ports import free_port
from videojob_local.stack import Stack


@pytest.fixture(scope="session")
def kube(stack: Stack) -> Iterator[Kube]:
    kube = Kube(stack)
    yield kube
    kube.close()


@pytest.fixture(scope="session")
def node(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node with two GPUs whose Pods' tokens are renewed within seconds."""
    folder = tmp_path_factory.mktemp("node")
    with running(Node(kube, "test-1", folder, free_port(), options=("--token-refresh=0.001",))) as node:
        yield node


@pytest.fixture
def new_node(kube: Kube, tmp_path: Path) -> Iterator[Node]:
    """A node that the test may end as it likes."""
    with running(Node(kube, "test-2", tmp_path / "node", free_port())) as node:
        yield node


@contextmanager
def running(node: Node) -> Iterator[Node]:
    """Start a node, and stop it."""
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.fixture
def studio_on(kube: Kube) -> Iterator[Callable[[Node], Studio]]:
    """Make a namespace whose Pods run on a given node."""
    name = f"studio-{uuid4().hex[:8]}"
    kube.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    kube.wait(f"/api/v1/namespaces/{name}/serviceaccounts", lambda accounts: accounts["items"])
    yield lambda node: Studio(kube, node, name)
    kube.delete(f"/api/v1/namespaces/{name}")
    for pod in kube.get(f"/api/v1/namespaces/{name}/pods")["items"]:
        kube.delete(f"/api/v1/namespaces/{name}/pods/{pod['metadata']['name']}", gracePeriodSeconds=0)


@pytest.fixture
def studio(studio_on: Callable[[Node], Studio], node: Node) -> Studio:
    return studio_on(node)
