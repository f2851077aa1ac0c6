"""One installation of the chart for all tests of a module, with profiles whose pods need not render."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cluster import Cluster, Kubectl, admin_client
from faulty_proxy import FaultyProxy
from operator_process import Start
from privacy import LogKeeper

from videojob import environment
from videojob_local.binaries import Binaries
from videojob_local.stack import Stack

_numbers = itertools.count(1)


def profile(image: str, **more: Any) -> dict[str, Any]:
    """Return a profile that asks for nothing and runs one of the images of the test node."""
    return {"gpus": 0, "image": image, **more}


PROFILES = {
    **{f"exit-{code}": profile(f"test/exit-{code}:1") for code in (0, 1, 64, 65, 70, 75)},
    "sleep": profile("test/sleep:1"),
    "left-result": profile("test/left-result:1"),
    "all-gpus": profile("test/sleep:1", gpus=2),
    "nowhere": profile("test/sleep:1", nodeSelector={"pool": "nowhere"}),
    "no-image": profile("registry.invalid/none:1"),
    "hangs-here": profile("test/hangs-here:1", env=[{"name": environment.CHECKPOINT_SECONDS, "value": "0"}]),
    "fleeting": profile("test/exit-75:1", maxInterruptions=1),
    "exit-70-here": profile("test/exit-70:1", nodeSelector={"kubernetes.io/hostname": "local"}),
    "no-class": profile("test/sleep:1", priorityClassName="absent"),
    "no-volume": profile(
        "test/sleep:1",
        volumes=[{"name": "weights", "secret": {"secretName": "absent"}}],
        volumeMounts=[{"name": "weights", "mountPath": "/weights"}],
    ),
}


@pytest.fixture(scope="module")
def studio(stack: Stack, kubernetes_http: httpx.Client, kubectl: Kubectl) -> Iterator[Cluster]:
    """A namespace with the operator (no REST API), shared by the tests of a module: each names its VideoJobs apart."""
    with _installed(stack, kubernetes_http, kubectl, "api.replicas=0") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def empty_studio(stack: Stack, kubernetes_http: httpx.Client, kubectl: Kubectl) -> Iterator[Cluster]:
    """A namespace with all of the chart but its pods, shared by the tests of a module."""
    with _installed(stack, kubernetes_http, kubectl, "api.replicas=0", "operator.replicas=0") as cluster:
        yield cluster


@pytest.fixture
def own_cluster(binaries: Binaries, tmp_path: Path) -> Iterator[Cluster]:
    """A stack of the test's own that does not know VideoJobs yet: what becomes of it is nobody else's business."""
    stack = Stack(tmp_path / "stack", binaries, gpus=2)
    (kept := tmp_path / "logs-of-pods").mkdir()
    with LogKeeper(stack.folder, kept):
        try:
            stack.start()
            stack.wait_for_node(stack.node.name)
            with admin_client(stack.control_plane) as http:
                yield Cluster(stack, http, Kubectl(binaries, stack.kubeconfig), "studio")
        finally:
            stack.stop()


@pytest.fixture
def start(empty_studio: Cluster, tmp_path: Path) -> Iterator[Start]:
    """Start operators for the empty studio; afterwards they and their VideoJobs are gone."""
    start = Start(empty_studio, tmp_path)
    try:
        yield start
    finally:
        start.close()


@pytest.fixture
def proxy(empty_studio: Cluster, tmp_path: Path) -> Iterator[FaultyProxy]:
    """A proxy before the API server, which operators of the empty studio may be sent through."""
    control_plane = empty_studio.stack.control_plane
    with FaultyProxy(control_plane.server, control_plane.ca, tmp_path / "proxy") as proxy:
        yield proxy


@contextmanager
def _installed(stack: Stack, http: httpx.Client, kubectl: Kubectl, *overrides: str) -> Iterator[Cluster]:
    namespace = f"studio-{next(_numbers)}"
    http.post("/api/v1/namespaces", json={"metadata": {"name": namespace}}).raise_for_status()
    cluster = Cluster(stack, http, kubectl, namespace)
    try:
        cluster.install(*overrides, profiles=PROFILES)
        yield cluster
    finally:
        cluster.close()
        http.delete(f"/api/v1/namespaces/{namespace}")
