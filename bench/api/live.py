"""Measure what one replica of the API takes to know many jobs and to serve many listeners: `make bench-api`.

Real control plane, real S3, real API process; the jobs are forged, because nobody could render as many. Writes
bench/results/api-live.json.
"""

import argparse
import asyncio
import json
import os
import ssl
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import psutil
from bench.api.services import MODEL, NAMESPACE, running_api, running_stack, wait_until_answered
from bench.machine import CLUSTER, ROOT, machine

from videojob_local.stack import Stack

RESULT = ROOT / "bench/results/api-live.json"
JOBS = f"/apis/videojob.dev/v1alpha1/namespaces/{NAMESPACE}/videojobs"
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
FOLLOWED = "followed"
TARGET_MB = 200

Figures = dict[str, Any]


@asynccontextmanager
async def administrator(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the API server with all rights."""
    pair = stack.control_plane.admin_credentials()
    tls = ssl.create_default_context(cafile=stack.control_plane.ca)
    tls.load_cert_chain(pair.cert, pair.key)
    async with httpx.AsyncClient(base_url=stack.control_plane.server, verify=tls, timeout=60) as client:
        yield client


async def make_jobs(admin: httpx.AsyncClient, many: int) -> None:
    """Make jobs, most of them finished, with the status that a real render leaves."""
    turn = asyncio.Semaphore(16)

    async def make(number: int) -> None:
        async with turn:
            name = FOLLOWED if number == 0 else f"job-20250914-{number:06}-x7k2p"
            prompt = f"{number}: a squirrel riding a skateboard in Times Square, " + "with many words about it, " * 14
            spec = {"request": {"prompt": prompt, "model": MODEL, "seed": number}}
            body = {"apiVersion": "videojob.dev/v1alpha1", "kind": "VideoJob", "metadata": {"name": name}, "spec": spec}
            (await admin.post(JOBS, json=body)).raise_for_status()
            status = {"status": {"phase": "Pending"} if number % 10 == 0 else finished(name)}
            (await admin.patch(f"{JOBS}/{name}/status", json=status, headers=MERGE_PATCH)).raise_for_status()

    for first in range(0, many, 500):
        await asyncio.gather(*[make(number) for number in range(first, min(first + 500, many))])


def finished(name: str) -> Figures:
    """Return the status of a finished job."""
    moment = "2025-09-14T12:10:30Z"
    uri = f"s3://videos/videojob/00000000-0000-0000-0000-000000000000/{name}-abcde"
    types = ("Accepted", "Scheduled", "Running", "Succeeded")
    return {
        "phase": "Succeeded",
        "reason": "Completed",
        "message": "the video is there",
        "jobName": name,
        "attempts": 1,
        "podName": f"{name}-abcde",
        "nodeName": "gpu-node-12.example.internal",
        "startTime": moment,
        "completionTime": "2025-09-14T12:11:15Z",
        "conditions": [
            {"type": each, "status": "True", "reason": "Completed", "message": "it is so", "lastTransitionTime": moment}
            for each in types
        ],
        "resolved": {"model": MODEL, "numFrames": 49, "width": 720, "height": 480, "fps": 8, "steps": 50},
        "progress": {"stage": "Uploading", "percent": 100, "updatedTime": moment, "podName": f"{name}-abcde"},
        "artifacts": {
            "video": {"uri": f"{uri}/video.mp4", "bytes": 1234567, "sha256": "0" * 64, "contentType": "video/mp4"},
            "thumbnail": {"uri": f"{uri}/thumbnail.jpg", "bytes": 12345, "sha256": "0" * 64},
        },
        "renderer": {"version": "0.1.0", "gpu": "NVIDIA H100 80GB HBM3", "gpuUtilization": 97, "torch": "2.9.0"},
    }


async def measure_lists(url: str, many: int) -> Figures:
    """Read all jobs, page by page, and one job again and again."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        began, found, token = time.perf_counter(), 0, None
        while True:
            page = (await client.get("/jobs", params={"limit": 500} | ({"continue": token} if token else {}))).json()
            found, token = found + len(page["jobs"]), page["continue"]
            if not token:
                break
        whole = time.perf_counter() - began
        assert found == many  # noqa: S101 - a figure of something else would be worth nothing
        spent = []
        for _ in range(500):
            began = time.perf_counter()
            (await client.get(f"/status/{FOLLOWED}")).raise_for_status()
            spent.append(time.perf_counter() - began)
    return {"list_of_all_seconds": round(whole, 2), "status_p50_ms": round(statistics.median(spent) * 1000, 2)}


async def measure_listeners(url: str, process: psutil.Process, admin: httpx.AsyncClient, listeners: int) -> Figures:
    """Let many follow one job, change it, and see when each has heard of it."""
    limits = httpx.Limits(max_connections=None)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=300, limits=limits))
        lines = []
        for _ in range(listeners):
            answer = await stack.enter_async_context(client.stream("GET", f"/jobs/{FOLLOWED}/events"))
            each = answer.aiter_lines()
            await heard(each, '"phase":"Pending"')
            lines.append(each)
        rss = mb(process)
        upstream = sum(
            1
            for connection in process.net_connections()
            if connection.raddr and connection.raddr.port == admin.base_url.port and connection.status == "ESTABLISHED"
        )
        began = time.perf_counter()
        waiting = [asyncio.create_task(heard(each, '"phase":"Starting"')) for each in lines]
        await admin.patch(f"{JOBS}/{FOLLOWED}/status", json={"status": {"phase": "Starting"}}, headers=MERGE_PATCH)
        spent = sorted([moment - began for moment in await asyncio.gather(*waiting)])
    return {
        "listeners": listeners,
        "rss_mb": rss,
        "connections_to_the_api_server": upstream,
        "fan_out_p50_ms": round(spent[len(spent) // 2] * 1000, 1),
        "fan_out_last_ms": round(spent[-1] * 1000, 1),
    }


async def heard(lines: AsyncIterator[str], word: str) -> float:
    """Read until a word comes, and return when."""
    async for line in lines:
        if word in line:
            return time.perf_counter()
    raise AssertionError(f"the events ended without {word}")


def mb(process: psutil.Process) -> float:
    """Return the resident memory."""
    return round(process.memory_info().rss / 2**20, 1)


async def measure(stack: Stack, many: int, listeners: int) -> Figures:
    """Take all measurements."""
    async with administrator(stack) as admin:
        with running_api(stack) as (url, process):
            wait_until_answered(f"{url}/readyz")
            empty = mb(process)
        await make_jobs(admin, many)
        with running_api(stack) as (url, process):
            began = time.perf_counter()
            wait_until_answered(f"{url}/readyz")
            start = time.perf_counter() - began
            known = {"jobs": many, "rss_empty_mb": empty, "rss_mb": mb(process), "start_seconds": round(start, 1)}
            lists = await measure_lists(url, many)
            known["rss_after_lists_mb"] = mb(process)
            events = await measure_listeners(url, process, admin, listeners)
    return {"known_jobs": known | lists, "events": events}


def main() -> None:
    """Measure, judge and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--listeners", type=int, default=1_000)
    asked = parser.parse_args()
    before = os.getloadavg()[0]
    with running_stack() as stack:
        results = asyncio.run(measure(stack, asked.jobs, asked.listeners))
    most = max(results["known_jobs"]["rss_after_lists_mb"], results["events"]["rss_mb"])
    report = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(
            "fastapi", "uvicorn", "sse-starlette", "kubernetes", **CLUSTER, load_average_before=round(before, 1)
        ),
        **results,
        "targets": [{"what": "most resident MB", "measured": most, "target": TARGET_MB, "met": most <= TARGET_MB}],
    }
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
