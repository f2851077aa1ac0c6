"""How soon a cancelled job frees its GPU: on the process node, with the real renderer in the midst of a render.

From the API server's answer to `spec.cancel: true` on, until the scheduler has given the one GPU to the job that waits
for it. That takes the operator, the garbage collector, the node, the renderer's orderly end, and the scheduler.
"""

import asyncio
import itertools
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.operator.api import PODS, VIDEO_JOBS, Api, Manifest, Seen

from videojob.names import NAME_LABEL
from videojob_local import chart
from videojob_local.binaries import ensure_binaries
from videojob_local.ports import free_port
from videojob_local.stack import NAMESPACE, Stack
from videojob_local.tiny_models import ensure_tiny_models

LONG = {"prompt": "a squirrel", "numFrames": 49, "width": 192, "height": 128, "steps": 200, "seed": 1}
"""A render of many short steps: a CPU's step at full size would take longer than a GPU's."""


@contextmanager
def one_gpu() -> Iterator[Stack]:
    """Start a stack with a node of one GPU and the operator, without the REST API."""
    with tempfile.TemporaryDirectory(prefix="videojob-bench-", ignore_cleanup_errors=True) as folder:
        binaries = ensure_binaries()
        stack = Stack(Path(folder) / "state", binaries, gpus=1)
        try:
            stack.start()
            stack.wait_for_node(stack.node.name)
            models, name = ensure_tiny_models(), chart.tiny_name("2b")
            values = chart.local_values(stack.s3.storage, api_port=free_port(), tiny_models=models, default_model=name)
            chart.install(binaries, stack.kubeconfig, NAMESPACE, values, "api.replicas=0")
            yield stack
        finally:
            stack.stop()


async def cancellation(times: int) -> dict[str, Any]:
    """Cancel the job that renders, so many times, while another waits for its GPU."""
    with one_gpu() as stack:
        pair = stack.control_plane.admin_credentials()
        async with Api(stack.control_plane.server, stack.control_plane.ca, (pair.cert, pair.key)) as api:
            names = [f"turn-{number}" for number in range(times + 1)]
            seconds = []
            async with (
                Seen(api, VIDEO_JOBS.format(NAMESPACE), _is_rendering) as rendering,
                Seen(api, PODS.format(NAMESPACE), _has_node, _job_of) as placed,
            ):
                await _create(api, names[0])
                for now, following in itertools.pairwise(names):
                    await rendering.wait_for([now])
                    await _create(api, following)
                    await asyncio.sleep(3)  # until the scheduler has tried it and has put it aside
                    await api.patch(f"{VIDEO_JOBS.format(NAMESPACE)}/{now}", {"spec": {"cancel": True}})
                    cancelled = time.monotonic()
                    seconds.append(round(await placed.wait_for([following]) - cancelled, 2))
    return {
        "cancelled_while_rendering": times,
        "seconds_until_the_gpu_was_the_next_jobs": seconds,
        "seconds_at_most": max(seconds),
    }


async def _create(api: Api, name: str) -> None:
    job = {"apiVersion": "videojob.dev/v1alpha1", "kind": "VideoJob", "metadata": {"name": name}}
    await api.call("POST", VIDEO_JOBS.format(NAMESPACE), json=job | {"spec": {"request": LONG}})


def _is_rendering(video_job: Manifest) -> bool:
    return bool(video_job.get("status", {}).get("phase") == "Running")


def _has_node(pod: Manifest) -> bool:
    return "nodeName" in pod["spec"]


def _job_of(pod: Manifest) -> str:
    return str(pod["metadata"].get("labels", {}).get(NAME_LABEL, ""))
