"""Measure the operator on a real control plane and write bench/results/operator.json: `make bench-operator`.

The kubelet is the only part that is not real: pods are kwok's, or forged where thousands are wanted at once. Whether a
figure reaches its target is part of the result; a figure that does not is written down all the same.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from bench.machine import CLUSTER, machine
from bench.operator.api import Api
from bench.operator.cancellation import cancellation
from bench.operator.measurements import BARE, Figures, burst, clear, completions, latency, plain_life, restart
from bench.operator.page import PAGE, RESULT, render
from bench.operator.world import NAMESPACE, World, new_world

from videojob import crd

RESTARTS = ("restart_waiting", "restart_finished")
NOTE = "a shared machine: other work ran beside; load_average, before and after, stands with each figure"


async def measure(world: World, many: int) -> Figures:
    """Take all measurements."""
    pair = world.control_plane.admin_credentials()
    async with Api(world.control_plane.server, world.control_plane.ca, (pair.cert, pair.key)) as api:
        await prepare(api)
        few = max(10, many // 10)
        results: Figures = {}

        async def take(name: str, measurement: Callable[[], Awaitable[Figures]]) -> None:
            before = os.getloadavg()[0]
            found = await measurement()
            after = os.getloadavg()[0]
            results[name] = found | {"load_average": [round(before, 1), round(after, 1)]}
            print(f"{name}: {json.dumps(results[name])}", file=sys.stderr, flush=True)

        await take("latency", lambda: latency(api, world, jobs=max(20, few // 3), per_second=20))
        await take("plain_life", lambda: plain_life(api, world, jobs=max(20, few // 3)))
        await take("burst_few", lambda: burst(api, world, jobs=few))
        await clear(api)
        await take("burst_many", lambda: burst(api, world, jobs=many))
        await take("restart_waiting", lambda: restart(api, world, jobs=many, what="all waiting for a pod"))
        await take("completions", lambda: completions(api, world, jobs=many))
        await take("restart_finished", lambda: restart(api, world, jobs=many, what="all finished, with a pod each"))
        world.stop()
        await take("cancellation", lambda: cancellation(times=5))
    few_ms, many_ms = (results[name]["operator_cpu_ms_a_job"] for name in ("burst_few", "burst_many"))
    results["cost_a_job"] = {"few_ms": few_ms, "many_ms": many_ms, "ratio": round(many_ms / few_ms, 2)}
    return results


async def prepare(api: Api) -> None:
    """Make the resource, the namespaces and the service account that the controller manager would make."""
    await api.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", json=crd.build_crd())
    for name in (NAMESPACE, BARE):
        await api.call("POST", "/api/v1/namespaces", json={"metadata": {"name": name}})
    account = {"metadata": {"name": "videojob-renderer"}}
    await api.call("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", json=account)
    while True:
        try:
            await api.items(f"/apis/videojob.dev/v1alpha1/namespaces/{NAMESPACE}/videojobs")
        except RuntimeError:
            await asyncio.sleep(0.2)
        else:
            return


def judge(results: Figures) -> list[Figures]:
    """Compare the figures with the targets."""
    way_in, restarted = results["burst_many"]["writes_a_job"], results["restart_finished"]["writes"]
    rows = (
        ("latency at 20/s, p50, times a bare create", results["latency"]["p50_ratio"], "<=", 3),
        ("latency at 20/s, p99, times a bare create", results["latency"]["p99_ratio"], "<=", 20),
        ("burst of many, share of the bare rate", results["burst_many"]["ratio"], ">=", 0.5),
        ("restart over many, seconds to rest", _worst(results, "seconds_to_rest"), "<=", 15),
        ("restart over many, peak memory in MB", _worst(results, "peak_rss_mb"), "<=", 170),
        ("writes a job on its way into the cluster", _writes(way_in), "<=", 2),
        (
            "writes a job over a plain life, without Events",
            results["plain_life"]["writes_a_job_without_events"],
            "<=",
            6,
        ),
        ("writes on restart over finished objects", _writes(restarted), "<=", 0),
        ("idle CPU in percent", _worst(results, "idle_cpu_percent"), "<", 1),
        ("cost a job at many, times that at few", results["cost_a_job"]["ratio"], "<=", 1.3),
        ("seconds from a cancellation to a free GPU, at most", results["cancellation"]["seconds_at_most"], "<=", 5),
    )
    tests = {"<=": float.__le__, ">=": float.__ge__, "<": float.__lt__}
    return [
        {"figure": name, "value": value, "target": f"{sign} {limit}", "met": tests[sign](float(value), float(limit))}
        for name, value, sign, limit in rows
    ]


def _worst(results: Figures, figure: str) -> float:
    """Return the worse of a figure's two: over jobs that wait and over jobs that have ended."""
    return max(float(results[name][figure]) for name in RESTARTS)


def _writes(by_method: Figures) -> float:
    return round(sum(count for method, count in by_method.items() if method != "conflicts"), 2)


def main() -> None:
    """Run and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000, help="how many are many (default: 10000)")
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))  # and end all that was started
    with new_world() as world:
        results = uvloop.run(measure(world, arguments.jobs))
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine("kopf", "aiohttp", **CLUSTER, etcd="without fsync", note=NOTE),
        "many": arguments.jobs,
        "targets": judge(results),
        "results": results,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    if arguments.output == RESULT:
        PAGE.write_text(render(report))
    for row in report["targets"]:
        print(f"{'met   ' if row['met'] else 'MISSED'} {row['figure']}: {row['value']} (target {row['target']})")


if __name__ == "__main__":
    main()
