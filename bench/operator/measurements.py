"""What is measured, each figure beside bare Jobs that a plain asynchronous client creates in the same run."""

import asyncio
import functools
import statistics
import time
from typing import Any

from bench.operator.api import AT_ONCE, JOBS, PODS, VIDEO_JOBS, Api, Manifest, Seen, all_at_once, steadily
from bench.operator.world import NAMESPACE, Operator, World

BARE = "bare"
Figures = dict[str, Any]
REQUEST = {"prompt": "a squirrel rides a skateboard in Times Square " * 8, "seed": 1}
NOW = "2026-01-01T00:00:00Z"


def video_job(name: str) -> Manifest:
    """Return a VideoJob with a prompt of 370 characters."""
    meta = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "videojob.dev/v1alpha1", "kind": "VideoJob", "metadata": meta, "spec": {"request": REQUEST}}


async def bare_job(api: Api) -> Manifest:
    """Return a Job as the operator builds it, to be created without a VideoJob."""
    (job, *_) = await api.items(JOBS.format(NAMESPACE))
    labels, template = job["metadata"]["labels"], job["spec"]["template"]
    spec = {key: value for key, value in job["spec"].items() if key not in {"selector", "manualSelector"}}
    spec["template"] = {"metadata": {"labels": labels}, "spec": template["spec"]}
    meta = {"labels": labels, "namespace": BARE}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec}


def percentiles(seconds: list[float]) -> Figures:
    """Return p50, p90, p99 and the maximum in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {
        f"{name}_ms": round(value * 1000, 1)
        for name, value in (("p50", cuts[49]), ("p90", cuts[89]), ("p99", cuts[98]), ("max", max(seconds)))
    }


async def latency(api: Api, world: World, *, jobs: int, per_second: float) -> Figures:
    """From the API server's answer to the VideoJob to the Job's arrival in a watch; bare: one POST of a Job."""
    asked: dict[str, float] = {}
    bare: list[float] = []

    async def create(name: str) -> None:
        await api.call("POST", VIDEO_JOBS.format(NAMESPACE), json=video_job(name))
        asked[name] = time.monotonic()

    with Operator(world) as operator:
        async with Seen(api, JOBS.format(NAMESPACE)) as seen:
            first = [
                f"first-{number}" for number in range(AT_ONCE)
            ]  # opens the connections; the bare client's are open
            await all_at_once([functools.partial(create, name) for name in first])
            await seen.wait_for(first)
            operator.wait_until_idle()
            names = [f"steady-{number}" for number in range(jobs)]
            await steadily([functools.partial(create, name) for name in names], per_second)
            await seen.wait_for(names)
        job = await bare_job(api)

        async def create_bare(name: str) -> None:
            began = time.monotonic()
            await _create_bare(api, job, name)
            bare.append(time.monotonic() - began)

        await steadily([functools.partial(create_bare, name) for name in names], per_second)
        delays = [max(0.0, seen.at[name] - asked[name]) for name in names]
        await clear(api)
    ours, theirs = percentiles(delays), percentiles(bare)
    ratios = {f"{name}_ratio": round(ours[f"{name}_ms"] / theirs[f"{name}_ms"], 2) for name in ("p50", "p99")}
    return {"jobs": jobs, "per_second": per_second, "created_to_job": ours, "bare_create": theirs, **ratios}


async def burst(api: Api, world: World, *, jobs: int) -> Figures:
    """Create VideoJobs as fast as a client can, until each has its Job.

    Bare: as many Jobs by the same client; and as many times all three writes that a job costs, VideoJob, Job and
    status, which is what an operator that took no time at all could reach.
    """
    names = [f"burst-{number}" for number in range(jobs)]
    with Operator(world) as operator:
        operator.wait_until_idle()
        before, writes_before = operator.cost(), operator.writes()
        async with Seen(api, JOBS.format(NAMESPACE)) as seen:
            began = time.monotonic()
            created = await all_at_once(
                functools.partial(api.call, "POST", VIDEO_JOBS.format(NAMESPACE), json=video_job(name))
                for name in names
            )
            ended = await seen.wait_for(names)
        operator.wait_until_idle()
        after, writes = operator.cost(), operator.writes()
    job = await bare_job(api)
    bare = await all_at_once(functools.partial(_create_bare, api, job, name) for name in names)
    await api.empty(JOBS.format(BARE))
    (one, *_) = await api.items(VIDEO_JOBS.format(NAMESPACE))
    same_writes = await all_at_once(functools.partial(_write_all, api, job, one["status"], name) for name in names)
    await api.empty(JOBS.format(BARE))
    await api.empty(VIDEO_JOBS.format(BARE))
    rate, bare_rate, same_writes_rate = jobs / (ended - began), jobs / bare, jobs / same_writes
    return {
        "jobs": jobs,
        "seconds": round(ended - began, 1),
        "seconds_of_the_client_to_create_the_videojobs": round(created, 1),
        "jobs_per_second": round(rate, 1),
        "bare_jobs_per_second": round(bare_rate, 1),
        "ratio": round(rate / bare_rate, 2),
        "same_writes_per_second": round(same_writes_rate, 1),
        "ratio_to_the_same_writes": round(rate / same_writes_rate, 2),
        "operator_cpu_ms_a_job": round((after.cpu_seconds - before.cpu_seconds) / jobs * 1000, 2),
        "operator_rss_mb": round(after.rss_mb, 1),
        "operator_peak_rss_mb": round(after.peak_rss_mb, 1),
        "writes_a_job": {key: round((writes[key] - writes_before[key]) / jobs, 3) for key in writes},
    }


async def restart(api: Api, world: World, *, jobs: int, what: str) -> Figures:
    """Start an operator over objects that are there already, until it rests."""
    video_jobs, job_count = (
        len(await api.items(VIDEO_JOBS.format(NAMESPACE))),
        len(await api.items(JOBS.format(NAMESPACE))),
    )
    with Operator(world) as operator:
        idle_at = operator.wait_until_idle(looks_at_least=jobs)
        cost, writes = operator.cost(), operator.writes()
        idle_before, watched = operator.cost(), time.monotonic()
        await asyncio.sleep(20)
        idle = operator.cost().cpu_seconds - idle_before.cpu_seconds
        idle_percent = 100 * idle / (time.monotonic() - watched)
    return {
        "over": f"{video_jobs} VideoJobs and {job_count} Jobs, {what}",
        "seconds_to_ready": round(operator.ready_seconds, 1),
        "seconds_to_rest": round(idle_at - operator.started_at, 1),
        "cpu_seconds": round(cost.cpu_seconds, 1),
        "rss_mb": round(cost.rss_mb, 1),
        "peak_rss_mb": round(cost.peak_rss_mb, 1),
        "writes": writes,
        "idle_cpu_percent": round(idle_percent, 2),
    }


async def completions(api: Api, world: World, *, jobs: int) -> Figures:
    """Let the pods of all Jobs end with their video recorded, as fast as a client can, until all have succeeded.

    The pods are forged: the Job controller rests, and with it the time it would take.
    """
    names = [each["metadata"]["name"] for each in await api.items(VIDEO_JOBS.format(NAMESPACE))][:jobs]
    found = {job["metadata"]["name"]: job for job in await api.items(JOBS.format(NAMESPACE))}
    with Operator(world) as operator:
        await all_at_once(functools.partial(_run_pod, api, found[name]) for name in names)
        operator.wait_until_idle()
        before, writes_before = operator.cost(), operator.writes()
        done = functools.partial(_is_in_phase, phase="Succeeded")
        async with Seen(api, VIDEO_JOBS.format(NAMESPACE), done) as seen:
            began = time.monotonic()
            ending = await all_at_once(functools.partial(_finish, api, found[name]) for name in names)
            ended = await seen.wait_for(names)
        operator.wait_until_idle()
        after, writes = operator.cost(), operator.writes()
    return {
        "jobs": jobs,
        "seconds": round(ended - began, 1),
        "seconds_of_the_client_to_end_the_pods": round(ending, 1),
        "completions_per_second": round(jobs / (ended - began), 1),
        "bare_pairs_of_patches_per_second": round(jobs / ending, 1),
        "operator_cpu_ms_a_job": round((after.cpu_seconds - before.cpu_seconds) / jobs * 1000, 2),
        "operator_peak_rss_mb": round(after.peak_rss_mb, 1),
        "writes_a_job": {key: round((writes[key] - writes_before[key]) / jobs, 3) for key in writes},
    }


async def plain_life(api: Api, world: World, *, jobs: int) -> Figures:
    """Jobs from creation to success with the real Job controller and scheduler, and nodes and pods of kwok."""
    world.wake()
    node = {
        "metadata": {"name": "kwok", "labels": {"type": "kwok"}},
        "status": {"allocatable": CAPACITY, "capacity": CAPACITY},
    }
    await api.call("POST", "/api/v1/nodes", json=node)
    while (await api.call("GET", "/api/v1/nodes/kwok"))["spec"].get("taints"):  # noqa: ASYNC110 - not ready yet
        await asyncio.sleep(0.1)
    names = [f"life-{number}" for number in range(jobs)]
    rendering: set[asyncio.Task[None]] = set()

    def is_running(pod: Manifest) -> bool:
        if pod.get("status", {}).get("phase") == "Running" and pod["metadata"]["name"] not in seen_pods:
            seen_pods.add(pod["metadata"]["name"])
            rendering.add(asyncio.ensure_future(_render(api, pod)))
        return False

    seen_pods: set[str] = set()
    with Operator(world) as operator:
        operator.wait_until_idle()
        before, writes_before = operator.cost(), operator.writes()
        done = functools.partial(_is_in_phase, phase="Succeeded")
        async with (
            Seen(api, VIDEO_JOBS.format(NAMESPACE), done) as seen,
            Seen(api, PODS.format(NAMESPACE), is_running),
        ):
            began = time.monotonic()
            await steadily(
                [
                    functools.partial(api.call, "POST", VIDEO_JOBS.format(NAMESPACE), json=video_job(name))
                    for name in names
                ],
                20,
            )
            ended = await seen.wait_for(names)
        operator.wait_until_idle()
        after, writes = operator.cost(), operator.writes()
        statuses = [each["status"] for each in await api.items(VIDEO_JOBS.format(NAMESPACE))]
        await clear(api)
    events = await api.items(f"/api/v1/namespaces/{NAMESPACE}/events")
    about = set(names)
    ours = sum(
        event.get("reportingComponent") == "videojob-operator" and event["involvedObject"]["name"] in about
        for event in events
    )
    ours /= jobs
    world.rest()
    calls = {key: round((writes[key] - writes_before[key]) / jobs, 2) for key in writes}
    return {
        "jobs": jobs,
        "per_second": 20,
        "seconds": round(ended - began, 1),
        "operator_cpu_ms_a_job": round((after.cpu_seconds - before.cpu_seconds) / jobs * 1000, 2),
        "writes_a_job": calls,
        "of_these_events": round(ours, 2),
        "writes_a_job_without_events": round(sum(calls.values()) - calls["conflicts"] - ours, 2),
        "attempts": sorted({status["attempts"] for status in statuses}),
    }


CAPACITY = {"cpu": "100k", "memory": "100Ti", "pods": "100k", "nvidia.com/gpu": "100k", "ephemeral-storage": "100Ti"}


async def clear(api: Api) -> None:
    """Delete all VideoJobs, Jobs and pods; nobody collects garbage while the controller manager rests."""
    for path in (VIDEO_JOBS.format(NAMESPACE), JOBS.format(NAMESPACE), JOBS.format(BARE), PODS.format(NAMESPACE)):
        await api.empty(path)


async def _create_bare(api: Api, job: Manifest, name: str) -> None:
    await api.call("POST", JOBS.format(BARE), json=job | {"metadata": job["metadata"] | {"name": name}})


async def _write_all(api: Api, job: Manifest, status: Manifest, name: str) -> None:
    """Make the writes of one job's way into the cluster, where no operator looks."""
    one = video_job(name)
    await api.call("POST", VIDEO_JOBS.format(BARE), json=one | {"metadata": {"name": name, "namespace": BARE}})
    await _create_bare(api, job, name)
    await api.patch(f"{VIDEO_JOBS.format(BARE)}/{name}/status", {"status": status})


async def _run_pod(api: Api, job: Manifest) -> None:
    """Make the running pod of a Job."""
    name, meta = f"{job['metadata']['name']}-abcde", job["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
    template = job["spec"]["template"]
    pod = {
        "metadata": {"name": name, "labels": template["metadata"]["labels"], "ownerReferences": [owner]},
        "spec": template["spec"] | {"nodeName": "kwok"},
    }
    await api.call("POST", PODS.format(NAMESPACE), json=pod)
    await _patch_pod(
        api,
        name,
        {"phase": "Running", "startTime": NOW, "containerStatuses": [_container({"running": {"startedAt": NOW}})]},
    )


async def _finish(api: Api, job: Manifest) -> None:
    """Record the video of the forged pod, and end it."""
    name, pod_name = job["metadata"]["name"], f"{job['metadata']['name']}-abcde"
    uid = job["metadata"]["ownerReferences"][0]["uid"]
    await _patch_status(
        api, name, {"artifacts": {"video": {"uri": f"s3://bench/{NAMESPACE}/{uid}/{pod_name}/video.mp4"}}}
    )
    ended = {"terminated": {"exitCode": 0, "startedAt": NOW, "finishedAt": NOW}}
    await _patch_pod(api, pod_name, {"phase": "Succeeded", "containerStatuses": [_container(ended)]})


async def _render(api: Api, pod: Manifest) -> None:
    """Do what a renderer does in the API server: three stages of progress, the video, the end."""
    name, pod_name = pod["metadata"]["labels"]["videojob.dev/name"], pod["metadata"]["name"]
    uid = pod["metadata"]["labels"]["videojob.dev/uid"]
    for stage, percent in (("Loading", 1), ("Denoising", 50), ("Uploading", 95)):
        progress = {"stage": stage, "percent": percent, "updatedTime": NOW, "podName": pod_name}
        await _patch_status(api, name, {"progress": progress})
        await asyncio.sleep(0.5)
    await _patch_status(
        api, name, {"artifacts": {"video": {"uri": f"s3://bench/{NAMESPACE}/{uid}/{pod_name}/video.mp4"}}}
    )
    await api.patch(f"{PODS.format(NAMESPACE)}/{pod_name}", {"metadata": {"annotations": {"bench/rendered": "true"}}})


async def _patch_status(api: Api, name: str, status: Manifest) -> None:
    await api.patch(f"{VIDEO_JOBS.format(NAMESPACE)}/{name}/status", {"status": status})


async def _patch_pod(api: Api, name: str, status: Manifest) -> None:
    await api.patch(f"{PODS.format(NAMESPACE)}/{name}/status", {"status": status})


def _container(state: Manifest) -> Manifest:
    image = {"image": "videojob-renderer:bench", "imageID": "", "restartCount": 0, "ready": True}
    return {"name": "renderer", "state": state, **image}


def _is_in_phase(each: Manifest, phase: str) -> bool:
    return bool(each.get("status", {}).get("phase") == phase)
