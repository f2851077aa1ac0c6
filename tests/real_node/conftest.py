"""The images as a release builds them, on a node of containerd and kubelet: started once, for all tests of this folder.

They need Linux, root and Debian's packages, and many minutes the first time, so they run by `make e2e` alone.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cluster import Kubectl
from real_cluster import RealCluster

from videojob_local.binaries import Binaries
from videojob_local.errors import ProgramFailed, ToolMissing
from videojob_local.images.base import ensure_base
from videojob_local.images.build import PARTS, Image, build
from videojob_local.images.engine import Engine, podman
from videojob_local.paths import cache_folder
from videojob_local.real_node.requirements import install_packages, what_is_forbidden, why_not
from videojob_local.real_node.stack import RealStack
from videojob_local.tiny_models import ensure_tiny_models

E2E = "VIDEOJOB_E2E"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = why_not() if os.environ.get(E2E) else "they build images and start a real node: run `make e2e`"
    if reason:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def engine() -> Engine:
    """podman, because containerd gets the images from its store; skipped where the machine cannot have a node."""
    try:
        install_packages()
    except ProgramFailed as error:
        pytest.skip(f"the packages of a real node cannot be installed: {' '.join(str(error).split())}")
    if reason := what_is_forbidden(cache_folder() / f"real-node-probe-{os.getpid()}"):
        pytest.skip(reason)
    return podman()


@pytest.fixture(scope="session")
def base(engine: Engine) -> str:
    """The Python image below all three."""
    try:
        return ensure_base(engine)
    except (ToolMissing, ProgramFailed) as error:
        pytest.skip(f"there is no Python image to build on: {' '.join(str(error).split())}")


@pytest.fixture(scope="session")
def images(engine: Engine, base: str) -> dict[str, Image]:
    """The three images, built from this checkout."""
    return {part: build(engine, part, base, registry="localhost", tag="e2e") for part in PARTS}


@pytest.fixture(scope="session")
def real_stack(binaries: Binaries, engine: Engine, images: dict[str, Image]) -> Iterator[RealStack]:
    """A running control plane, S3 server and real node. Its folder is not below /tmp: images need a real disk."""
    stack = RealStack(cache_folder() / f"real-node-{os.getpid()}", binaries)
    try:
        stack.start(engine, [image.name for image in images.values()])
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def real_kubectl(real_stack: RealStack) -> Kubectl:
    """Run kubectl as the administrator."""
    return Kubectl(real_stack.binaries, real_stack.kubeconfig)


@pytest.fixture(scope="session")
def studio(real_stack: RealStack, real_kubectl: Kubectl) -> Iterator[RealCluster]:
    """A namespace that enforces the restricted Pod Security Standard, with the chart in it and weights on a volume."""
    cluster = RealCluster.open(real_stack, real_kubectl, "studio", ensure_tiny_models()["2b"].parent)
    cluster.prepare_storage()
    cluster.install()
    yield cluster
    cluster.http.close()


@pytest.fixture(scope="session")
def rest(studio: RealCluster) -> Iterator[httpx.Client]:
    """The REST API by way of its Service, called by somebody whom the cluster knows."""
    address = studio.service_address("videojob-api")
    key = {"Authorization": f"Bearer {studio.token()}"}
    with httpx.Client(base_url=f"http://{address}", headers=key, timeout=30) as client:
        deadline = time.monotonic() + 60
        while True:
            try:
                client.get("/readyz").raise_for_status()
                break
            except httpx.HTTPError:
                assert time.monotonic() < deadline, "the Service of the API leads nowhere"
                time.sleep(0.5)
        yield client
