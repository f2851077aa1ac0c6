"""Measure creates and status reads beside two peers, and write bench/results/api.json: part of `make bench-api`.

The peers run in the same minutes on the same machine, asked by the same client: (a) the same four routes over a dict in
one process, which is durable in no way; (b) bare creates with the kubernetes client. Single calls take turns, one here
and one there, and so do short rounds of calls over several connections: a busy moment meets all alike. Rates are
compared round by round, and the median of the ratios counts.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from bench.api.services import NAMESPACE, running_api, running_stack, wait_until_answered
from bench.machine import CLUSTER, ROOT, machine
from kubernetes.aio import client, config

from videojob_local.ports import free_port
from videojob_local.stack import Stack

RESULT = ROOT / "bench/results/api.json"
PROMPT = "A squirrel riding a skateboard in Times Square"
CONNECTIONS = 16
ROUNDS = 21
CREATE_RATIO, READ_RATIO = 1.5, 0.7

Figures = dict[str, Any]
Call = Callable[[], Awaitable[object]]


@contextmanager
def running_peer() -> Iterator[str]:
    """Start the peer as its own process; gives its URL."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "in_memory:app", f"--port={port}", "--no-access-log"]
    process = subprocess.Popen(command, cwd=Path(__file__).parent, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


async def timed(call: Call) -> float:
    """Return the milliseconds a call takes."""
    began = time.perf_counter()
    await call()
    return (time.perf_counter() - began) * 1000


async def per_second(call: Call, many: int) -> float:
    """Return how many calls a second are answered over so many connections."""
    began = time.perf_counter()
    turns = iter(range(many))

    async def work() -> None:
        for _ in turns:
            await call()

    await asyncio.gather(*[work() for _ in range(CONNECTIONS)])
    return many / (time.perf_counter() - began)


async def in_turn(calls: dict[str, Call], single: int, a_round: int) -> Figures:
    """Return latency and rate of each, in turn, and the API's rate to that of the dict.

    Args:
        calls: by the name of who answers.
        single: calls made one by one, for the latency.
        a_round: calls made over several connections in each round, for the rate.
    """
    for call in calls.values():
        await per_second(call, CONNECTIONS)
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(single):
        for name, call in calls.items():
            spent[name].append(await timed(call))
    rates: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            rates[name].append(await per_second(call, a_round))
    figures: Figures = {
        name: {
            "p50_ms": round(statistics.median(spent[name]), 2),
            "p99_ms": round(statistics.quantiles(spent[name], n=100)[98], 2),
            "per_second": round(statistics.median(rates[name]), 1),
        }
        for name in calls
    }
    to_dict = statistics.median(ours / theirs for ours, theirs in zip(rates["api"], rates["in_memory"], strict=True))
    return figures | {"rate_to_in_memory": round(to_dict, 3)}


async def measure(stack: Stack, url: str, peer: str) -> Figures:
    """Take all measurements."""
    access = client.Configuration()
    await config.load_kube_config(str(stack.kubeconfig), client_configuration=access)
    connector = aiohttp.TCPConnector(keepalive_timeout=1)  # well before uvicorn closes
    async with aiohttp.ClientSession(connector=connector) as http, client.ApiClient(access) as api:
        bare = client.CustomObjectsApi(api)
        manifest = {
            "apiVersion": "videojob.dev/v1alpha1",
            "kind": "VideoJob",
            "metadata": {"generateName": "bare-"},
            "spec": {"request": {"prompt": PROMPT}},
        }

        async def post(base: str) -> str:
            async with http.post(f"{base}/generate", json={"prompt": PROMPT}) as answer:
                answer.raise_for_status()
                return str((await answer.json())["job_id"])

        async def create_bare() -> object:
            return await bare.create_namespaced_custom_object(
                "videojob.dev", "v1alpha1", NAMESPACE, "videojobs", manifest
            )

        async def read(address: str) -> bytes:
            async with http.get(address) as answer:
                answer.raise_for_status()
                return await answer.read()

        ours, theirs = f"{url}/status/{await post(url)}", f"{peer}/status/{await post(peer)}"
        creates = await in_turn(
            {"api": lambda: post(url), "kubernetes_client": create_bare, "in_memory": lambda: post(peer)},
            single=300,
            a_round=100,
        )
        reads = await in_turn({"api": lambda: read(ours), "in_memory": lambda: read(theirs)}, single=1200, a_round=400)
    return {"create": creates, "status": reads}


def run(stack: Stack) -> Figures:
    """Start both services, and measure."""
    with running_api(stack) as (url, _), running_peer() as peer:
        wait_until_answered(f"{url}/readyz")
        wait_until_answered(f"{peer}/health")
        return asyncio.run(measure(stack, url, peer))


def target(what: str, measured: float, limit: float, *, at_most: bool) -> Figures:
    """Judge a figure."""
    met = measured <= limit if at_most else measured >= limit
    return {"what": what, "measured": round(measured, 2), "target": limit, "at_most": at_most, "met": met}


def main() -> None:
    """Measure, judge and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULT)
    asked = parser.parse_args()
    before = os.getloadavg()[0]
    with running_stack() as stack:
        results = run(stack)
    create, status = results["create"], results["status"]
    report = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(
            "fastapi", "uvicorn", "kubernetes", "aiohttp", **CLUSTER, load_average_before=round(before, 1)
        ),
        "connections": CONNECTIONS,
        **results,
        "targets": [
            target(
                "p50 of POST /generate to that of a bare create",
                create["api"]["p50_ms"] / create["kubernetes_client"]["p50_ms"],
                CREATE_RATIO,
                at_most=True,
            ),
            target(
                "status reads a second to those from a dict",
                status["rate_to_in_memory"],
                READ_RATIO,
                at_most=False,
            ),
        ],
    }
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
