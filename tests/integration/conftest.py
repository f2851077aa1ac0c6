"""One installation of the chart for all tests of a module, with profiles whose pods need not render."""

import itertools
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from cluster import Cluster, Kubectl

from videojob_local.stack import Stack

_numbers = itertools.count(1)


def profile(image: str, **more: Any) -> dict[str, Any]:
    """Return a profile that asks for nothing and runs one of the images of the test node."""
    return {"gpus": 0, "image": image, **more}


PROFILES = {
    **{f"exit-{code}": profile(f"test/exit-{code}:1") for code in (0, 1, 64, 65, 70, 75)},
    "sleep": profile("test/sleep:1"),
    "all-gpus": profile("test/sleep:1", gpus=2),
    "nowhere": profile("test/sleep:1", nodeSelector={"pool": "nowhere"}),
    "no-image": profile("registry.invalid/none:1"),
}


@pytest.fixture(scope="module")
def studio(stack: Stack, kubernetes_http: httpx.Client, kubectl: Kubectl) -> Iterator[Cluster]:
    """A namespace with the operator (no REST API), shared by the tests of a module: each names its VideoJobs apart."""
    namespace = f"studio-{next(_numbers)}"
    kubernetes_http.post("/api/v1/namespaces", json={"metadata": {"name": namespace}}).raise_for_status()
    cluster = Cluster(stack, kubernetes_http, kubectl, namespace)
    try:
        cluster.install("api.replicas=0", profiles=PROFILES)
        yield cluster
    finally:
        cluster.close()
        kubernetes_http.delete(f"/api/v1/namespaces/{namespace}")
