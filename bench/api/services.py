"""What the measurements of the API need: a control plane that knows VideoJobs, an S3 server and the API itself."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import requests
from bench.machine import ROOT

from videojob_local.binaries import ensure_binaries
from videojob_local.ports import free_port
from videojob_local.stack import Stack
from videojob_local.waiting import wait_until

NAMESPACE = "default"
MODEL = "CogVideoX-tiny"
_CATALOGUE = {"defaultModel": MODEL, "models": {MODEL: {"family": "2b", "source": "/models/tiny"}}}
_READY_SECONDS = 120


@contextmanager
def running_stack() -> Iterator[Stack]:
    """Start control plane and S3 server in a folder of their own, make VideoJob known, and end them."""
    with tempfile.TemporaryDirectory(prefix="videojob-bench-", ignore_cleanup_errors=True) as folder:
        stack = Stack(Path(folder) / "state", ensure_binaries(), gpus=0)
        try:
            stack.start()
            kubectl(stack, "apply", "--server-side", f"--filename={ROOT}/crds/videojobs.yaml")
            kubectl(stack, "wait", "--for=condition=Established", "crd/videojobs.videojob.dev")
            yield stack
        finally:
            stack.stop()


@contextmanager
def running_api(stack: Stack) -> Iterator[tuple[str, psutil.Process]]:
    """Start the API as a process of its own; gives its URL, at which nobody may answer yet, and the process."""
    catalogue = stack.folder / "bench-catalogue.json"
    catalogue.write_text(json.dumps(_CATALOGUE))
    port = free_port()
    environment = stack.s3.storage.environment() | {
        "KUBECONFIG": str(stack.kubeconfig),
        "VIDEOJOB_NAMESPACE": NAMESPACE,
        "VIDEOJOB_CATALOGUE": str(catalogue),
        "VIDEOJOB_S3_BUCKET": stack.s3.storage.bucket,
        "VIDEOJOB_API_HOST": "127.0.0.1",
        "VIDEOJOB_API_PORT": str(port),
    }
    with (stack.folder / "bench-api.log").open("wb") as log:
        command = [sys.executable, "-m", "videojob_api"]
        process = subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=60)


def wait_until_answered(url: str) -> None:
    """Wait until a GET of this URL is answered with success.

    Raises:
        PartFailed: that took too long.
    """

    def is_answered() -> bool:
        try:
            return requests.get(url, timeout=10).ok
        except requests.ConnectionError:
            return False

    wait_until(is_answered, f"an answer from {url}", seconds=_READY_SECONDS)


def kubectl(stack: Stack, *arguments: str) -> str:
    """Run kubectl as the administrator."""
    command = [str(stack.binaries["kubectl"]), f"--kubeconfig={stack.kubeconfig}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
