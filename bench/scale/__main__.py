"""A thousand nodes with eight GPUs each, all of them rendering, and more jobs waiting: `make bench-scale`.

etcd, API server, controller manager, scheduler and operator are real; kwok plays kubelets, and this script plays
renderers. Writes bench/results/scale.json: how long it takes to fill the cluster and to empty it, what one job and one
word of progress cost the API server, and what the control plane weighs meanwhile.
"""

import argparse
import asyncio
import functools
import json
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import uvloop
from bench.machine import CLUSTER, ROOT, machine
from bench.operator.api import PODS, VIDEO_JOBS, Api, Manifest, all_at_once, steadily
from bench.operator.measurements import video_job
from bench.operator.world import NAMESPACE, Operator, World, new_world
from prometheus_client.parser import text_string_to_metric_families

from videojob import crd
from videojob.phases import Phase

RESULT = ROOT / "bench/results/scale.json"
NOTE = "everything on one shared machine: control plane, kwok, operator and the load itself"
GPUS_A_NODE = 8
PROGRESS_SECONDS = 60
PATIENCE_SECONDS = 3600
NOW = "2026-01-01T00:00:00Z"
PARTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
Figures = dict[str, Any]


class Reader(Api):
    """A client that reads metrics, too."""

    async def metrics(self) -> str:
        """Return the API server's metrics."""
        async with self._http.get(self._server + "/metrics") as answer:
            answer.raise_for_status()
            return await answer.text()


class Meter:
    """What the control plane and the operator have used, and what was asked of the API server."""

    def __init__(self, api: Reader, world: World, operator: Operator) -> None:
        self._api = api
        self._operator = operator
        self._parts = {name: psutil.Process(world.part(name).pid) for name in PARTS}

    async def read(self) -> Figures:
        """Return CPU seconds by part, requests by verb and kind, and the time."""
        cpu = {name: sum(part.cpu_times()[:2]) for name, part in self._parts.items()}
        requests: dict[str, float] = {}
        for sample in await self._samples("apiserver_request_total"):
            if sample.labels["verb"] not in {"WATCH", "CONNECT"}:
                name = f"{sample.labels['verb']} {sample.labels['resource']}".strip()
                name += f"/{sample.labels['subresource']}" if sample.labels["subresource"] else ""
                requests[name] = requests.get(name, 0) + sample.value
        return {
            "seconds": time.monotonic(),
            "cpu": cpu | {"operator": self._operator.cost().cpu_seconds},
            "requests": requests,
        }

    async def weigh(self) -> Figures:
        """Return the memory of each part and the size of the database, in MB."""
        memory = {name: round(part.memory_info().rss / 2**20) for name, part in self._parts.items()}
        size = [sample.value for sample in await self._samples("apiserver_storage_size_bytes")]
        return {
            "memory_mb": memory | {"operator": round(self._operator.cost().rss_mb)},
            "etcd_database_mb": round(max(size) / 2**20),
        }

    async def _samples(self, name: str) -> list[Any]:
        text = await self._api.metrics()
        families = text_string_to_metric_families(text)
        return [sample for family in families for sample in family.samples if sample.name == name]


def between(before: Figures, after: Figures, jobs: int) -> Figures:
    """Return what a phase took, whole and a job."""
    seconds = after["seconds"] - before["seconds"]
    cpu = {name: after["cpu"][name] - before["cpu"][name] for name in after["cpu"]}
    requests = {name: value - before["requests"].get(name, 0) for name, value in after["requests"].items()}
    often = {name: round(value / jobs, 2) for name, value in sorted(requests.items()) if value >= jobs / 2}
    return {
        "seconds": round(seconds, 1),
        "jobs_per_second": round(jobs / seconds, 1),
        "cpu_seconds": {name: round(value, 1) for name, value in cpu.items()},
        "cpu_ms_a_job": {name: round(1000 * value / jobs, 1) for name, value in cpu.items()},
        "requests_a_job": often,
        "requests_per_second": round(sum(requests.values()) / seconds),
    }


def node(number: int) -> Manifest:
    """Return a node with eight H100."""
    room = {"cpu": "96", "memory": "1Ti", "pods": "110", "nvidia.com/gpu": str(GPUS_A_NODE), "ephemeral-storage": "4Ti"}
    labels = {"type": "kwok", "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
    return {
        "metadata": {"name": f"gpu-{number:04}", "labels": labels},
        "status": {"allocatable": room, "capacity": room},
    }


async def prepare(api: Api, nodes: int) -> None:
    """Make the resource, the namespace and the nodes."""
    await api.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", json=crd.build_crd())
    await api.call("POST", "/api/v1/namespaces", json={"metadata": {"name": NAMESPACE}})
    account = {"metadata": {"name": "videojob-renderer"}}
    await api.call("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", json=account)
    await all_at_once(
        functools.partial(api.call, "POST", "/api/v1/nodes", json=node(number)) for number in range(nodes)
    )


async def as_many(operator: Operator, count: int, *phases: str) -> None:
    """Wait until so many VideoJobs are in one of these phases, by the operator's count: lists would be a load."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := sum([operator.metric("videojob_jobs", phase=phase) for phase in phases])) < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{found} of {count} after {PATIENCE_SECONDS} s")
        await asyncio.sleep(2)


async def nodes_ready(api: Api) -> int:
    """Return how many nodes are still heard of by the control plane: where its machine is too slow, they are not."""
    ready = {"type": "Ready", "status": "True"}
    return sum(
        any(ready.items() <= condition.items() for condition in each["status"]["conditions"])
        for each in await api.items("/api/v1/nodes")
    )


async def progress(api: Api, name: str, pod: str, step: int) -> None:
    """Tell a step, as a renderer does."""
    told = {"stage": "Denoising", "step": step, "steps": 50, "percent": 2 * step, "updatedTime": NOW, "podName": pod}
    await api.patch(f"{VIDEO_JOBS.format(NAMESPACE)}/{name}/status", {"status": {"progress": told}})


async def finish(api: Api, name: str, pod: Manifest) -> None:
    """Record the video, and let kwok end the pod."""
    pod_name, uid = pod["metadata"]["name"], pod["metadata"]["labels"]["videojob.dev/uid"]
    video = {"uri": f"s3://bench/{NAMESPACE}/{uid}/{pod_name}/video.mp4"}
    await api.patch(f"{VIDEO_JOBS.format(NAMESPACE)}/{name}/status", {"status": {"artifacts": {"video": video}}})
    await api.patch(f"{PODS.format(NAMESPACE)}/{pod_name}", {"metadata": {"annotations": {"bench/rendered": "true"}}})


async def running_pods(api: Api) -> dict[str, Manifest]:
    """Return name of the job -> its pod that runs."""
    pods = await api.items(PODS.format(NAMESPACE))
    return {
        pod["metadata"]["labels"]["videojob.dev/name"]: pod for pod in pods if pod["status"].get("phase") == "Running"
    }


def told(pods: dict[str, Manifest], count: int) -> Iterator[tuple[str, str, int]]:
    """Yield so many words of progress, of one renderer after the other."""
    names = sorted(pods)
    for number in range(count):
        name = names[number % len(names)]
        yield name, pods[name]["metadata"]["name"], 1 + number // len(names)


async def measure(world: World, nodes: int, jobs: int, per_second: int) -> Figures:
    """Fill the cluster, let it render, empty it."""
    gpus = nodes * GPUS_A_NODE
    names, running = [f"job-{number:05}" for number in range(jobs)], min(jobs, gpus)
    pair = world.control_plane.admin_credentials()
    results: Figures = {"nodes": nodes, "gpus": gpus, "jobs": len(names)}

    def note(name: str, figures: Figures) -> None:
        results[name] = figures | {"load_average": round(os.getloadavg()[0], 1)}
        print(f"{name}: {json.dumps(results[name])}", file=sys.stderr, flush=True)

    async with Reader(world.control_plane.server, world.control_plane.ca, (pair.cert, pair.key)) as api:
        await prepare(api, nodes)
        world.wake()
        with Operator(world) as operator:
            meter = Meter(api, world, operator)
            await asyncio.sleep(20)
            before = await meter.read()
            await asyncio.sleep(PROGRESS_SECONDS)
            note("nodes_alone", between(before, await meter.read(), nodes))

            path = VIDEO_JOBS.format(NAMESPACE)
            before = await meter.read()
            await all_at_once(functools.partial(api.call, "POST", path, json=video_job(name)) for name in names)
            await as_many(operator, running, Phase.STARTING, Phase.RUNNING)
            filled = between(before, await meter.read(), running) | await meter.weigh()
            note("filling", filled | {"nodes_ready": await nodes_ready(api)})

            pods, words = await running_pods(api), per_second * PROGRESS_SECONDS
            before = await meter.read()
            await steadily((functools.partial(progress, api, *word) for word in told(pods, words)), per_second)
            note("rendering", between(before, await meter.read(), words) | {"words_of_progress_per_second": per_second})

            before = await meter.read()
            await all_at_once(functools.partial(finish, api, name, pod) for name, pod in pods.items())
            await as_many(operator, len(pods), Phase.SUCCEEDED)
            note("emptying", between(before, await meter.read(), len(pods)) | await meter.weigh())
    return results


def main() -> None:
    """Run and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--jobs", type=int, help="VideoJobs (default: one for each GPU, and an eighth more that wait)")
    parser.add_argument("--per-second", type=int, default=100, help="words of progress a second (default: 100)")
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    with new_world() as world:
        jobs = arguments.jobs or arguments.nodes * (GPUS_A_NODE + 1)
        results = uvloop.run(measure(world, arguments.nodes, jobs, arguments.per_second))
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(**CLUSTER, etcd="without fsync", note=NOTE),
        "results": results,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
