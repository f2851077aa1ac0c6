"""Fixtures of all tests: the real control plane, S3 server and node, started once, when a test first asks for them.

Pure tests ask for none of them and start nothing.
"""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cluster import Cluster, Kubectl, admin_client, wait_for
from privacy import LogKeeper, assert_no_prompt_in
from s3_client import s3_client
from types_boto3_s3 import S3Client

from videojob_local.binaries import Binaries, ensure_binaries
from videojob_local.stack import Stack

_numbers = itertools.count(1)

LEAVE_RESULT = (
    'printf \'{"reason": "Completed", "message": "left", "artifacts": {"video": {"uri": "s3://videos/%s/%s/%s/a.mp4"}}}\''
    ' "$VIDEOJOB_NAMESPACE" "$VIDEOJOB_UID" "$VIDEOJOB_POD_NAME" > "$VIDEOJOB_TERMINATION_LOG"'
)
"""Ends as a renderer whose API server was away does: with 0, and its result in the termination message."""

HANG = """
import threading
from diffusers import CogVideoXTransformer3DModel as Transformer
from videojob_renderer import watchdog
from videojob_renderer.__main__ import main

calls, forward = [], Transformer.forward

def hang(self, *arguments, **named):
    calls.append(1)
    if len(calls) > 10:
        threading.Event().wait()
    return forward(self, *arguments, **named)

Transformer.forward = hang
watchdog.SHORTEST_SECONDS = 3.0
main()
"""
"""The renderer on a GPU that hangs: a call of the transformer never comes back, and does not hold the interpreter."""

TEST_IMAGES = {
    "test/hangs-here:*": [sys.executable, "-c", HANG],
    "test/sh:*": ["/bin/sh"],
    "test/sleep:*": ["/bin/sleep", "600"],
    "test/left-result:*": ["/bin/sh", "-c", LEAVE_RESULT],
    **{f"test/exit-{code}:*": ["/bin/sh", "-c", f"exit {code}"] for code in (0, 1, 64, 65, 70, 75)},
}
"""Images of the node beside the product's own, for pods that need not render."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that may take longest: else one worker is busy with them when all others have ended."""
    longest_seconds: dict[Path, float] = {}
    for item in items:
        mark = item.get_closest_marker("timeout")
        longest_seconds[item.path] = max(longest_seconds.get(item.path, 0), mark.args[0] if mark else 0)
    items.sort(key=lambda item: -longest_seconds[item.path])


@pytest.fixture(scope="session", autouse=True)
def no_prompt_in_any_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """When all is over, search the logs of all processes that the tests have started."""
    yield
    assert_no_prompt_in(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    """The programs of the control plane; built first where `make test` did not do so."""
    return ensure_binaries()


@pytest.fixture(scope="session")
def stack(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running control plane, S3 server and process node, with the VideoJob resource but without operator and API."""
    stack = Stack(tmp_path_factory.mktemp("stack") / "state", binaries, more_images=TEST_IMAGES, gpus=2)
    with LogKeeper(stack.folder, tmp_path_factory.mktemp("logs-of-pods")):
        try:
            _start(stack)
            yield stack
        finally:
            stack.stop()


def _start(stack: Stack) -> None:
    stack.start()
    stack.wait_for_node(stack.node.name)
    kubectl = Kubectl(stack.binaries, stack.kubeconfig)
    kubectl.run("apply", "--server-side", "--filename=crds/videojobs.yaml")
    # kubectl fails where the definition has no conditions yet, as on a busy machine.
    established = ("wait", "--for=condition=Established", "crd/videojobs.videojob.dev")
    wait_for(lambda: kubectl(*established).returncode == 0, "the VideoJob resource", seconds=240)
    # Established or not, for a moment lists are 429; kubectl asks again until they are not.
    kubectl.run("get", "videojobs", "--all-namespaces")


@pytest.fixture(scope="session")
def kubectl(stack: Stack) -> Kubectl:
    """Run kubectl as the administrator."""
    return Kubectl(stack.binaries, stack.kubeconfig)


@pytest.fixture(scope="session")
def kubernetes_http(stack: Stack) -> Iterator[httpx.Client]:
    """An HTTP client of the API server with the administrator's rights."""
    with admin_client(stack.control_plane) as client:
        yield client


@pytest.fixture
def namespace(kubernetes_http: httpx.Client) -> Iterator[str]:
    """A fresh namespace, deleted afterwards with all that is in it."""
    name = f"test-{next(_numbers)}"
    kubernetes_http.post("/api/v1/namespaces", json={"metadata": {"name": name}}).raise_for_status()
    yield name
    kubernetes_http.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def cluster(stack: Stack, kubernetes_http: httpx.Client, kubectl: Kubectl, namespace: str) -> Iterator[Cluster]:
    """The test's own namespace, with the means to install the chart there and to act on VideoJobs."""
    cluster = Cluster(stack, kubernetes_http, kubectl, namespace)
    yield cluster
    cluster.close()


@pytest.fixture(scope="session")
def s3(stack: Stack) -> Iterator[S3Client]:
    """A client of the S3 server with all rights."""
    client = s3_client(stack.s3.storage)
    yield client
    client.close()


@pytest.fixture(scope="session")
def bucket(stack: Stack) -> str:
    """Name of the bucket of videos."""
    return stack.s3.storage.bucket


@pytest.fixture(scope="session")
def tiny_models() -> dict[str, Path]:
    """Family -> folder of a pipeline with random weights."""
    from videojob_local.tiny_models import ensure_tiny_models  # noqa: PLC0415 - starts the renderer

    return ensure_tiny_models()
