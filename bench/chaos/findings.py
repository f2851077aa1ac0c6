"""What a run has left behind: the objects of the cluster and of the bucket, read when all is calm again."""

import hashlib
import json
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import imageio_ffmpeg
from tests.support.s3_client import s3_client

from videojob_local.errors import PartFailed
from videojob_local.s3 import Storage
from videojob_local.stack import Stack

Manifest = dict[str, Any]
_PATIENCE_SECONDS = 240


@dataclass(frozen=True)
class Findings:
    """All that the verdict is made from.

    Attributes:
        video_jobs: by name.
        jobs: Kubernetes' own.
        pods: of renderers.
        renderers: how many processes still render.
        videos: name -> sha256 of what the API gives out.
        unplayable: names of those that ffmpeg does not decode to the end.
        objects: keys of the bucket.
        unfinished_uploads: keys of uploads that were begun and not ended.
        read_at: when.
    """

    video_jobs: dict[str, Manifest]
    jobs: list[Manifest]
    pods: list[Manifest]
    renderers: int
    videos: dict[str, str]
    unplayable: list[str]
    objects: list[str]
    unfinished_uploads: list[str]
    read_at: datetime


def items(stack: Stack, path: str) -> list[Manifest]:
    """List a collection; asks again while the API server is away."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            found: list[Manifest] = stack.get(path)["items"]
        except PartFailed:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return found


def video_jobs(stack: Stack, namespace: str) -> dict[str, Manifest]:
    """Return the VideoJobs by name."""
    found = items(stack, f"/apis/videojob.dev/v1alpha1/namespaces/{namespace}/videojobs")
    return {item["metadata"]["name"]: item for item in found}


def collect(stack: Stack, namespace: str, download: Callable[[str], bytes], renderers: int) -> Findings:
    """Read everything."""
    listed = video_jobs(stack, namespace)
    succeeded = [name for name, job in listed.items() if phase_of(job) == "Succeeded"]
    videos, unplayable, seen = {}, [], Counter[str]()
    for name in succeeded:
        content = download(name)
        videos[name] = hashlib.sha256(content).hexdigest()
        if not seen[videos[name]] and not plays(content):
            unplayable.append(name)
        seen[videos[name]] += 1
    objects, unfinished = _bucket(stack.s3.storage)
    return Findings(
        video_jobs=listed,
        jobs=items(stack, f"/apis/batch/v1/namespaces/{namespace}/jobs"),
        pods=renderer_pods(stack, namespace),
        renderers=renderers,
        videos=videos,
        unplayable=unplayable,
        objects=objects,
        unfinished_uploads=unfinished,
        read_at=datetime.now(UTC),
    )


def renderer_pods(stack: Stack, namespace: str) -> list[Manifest]:
    """Return the pods that Jobs have made."""
    return items(stack, f"/api/v1/namespaces/{namespace}/pods?labelSelector=batch.kubernetes.io/job-name")


def phase_of(job: Manifest) -> str:
    """Return the phase of a VideoJob."""
    return str(job.get("status", {}).get("phase", ""))


def plays(content: bytes) -> bool:
    """Decode every frame."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "video.mp4"
        file.write_bytes(content)
        argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-xerror", "-i", str(file), "-f", "null", "-"]
        result = subprocess.run(argv, capture_output=True, check=False, timeout=120)
        return result.returncode == 0 and not result.stderr


def shortened(job: Manifest) -> str:
    """Tell a VideoJob in one line."""
    status = job.get("status", {})
    return json.dumps({key: status.get(key) for key in ("phase", "reason", "message", "attempts")})


def _bucket(storage: Storage) -> tuple[list[str], list[str]]:
    """Return the keys of all objects, and of all uploads that never ended."""
    client = s3_client(storage)
    try:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=storage.bucket)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        uploads = client.list_multipart_uploads(Bucket=storage.bucket).get("Uploads", [])
        return keys, [upload["Key"] for upload in uploads]
    finally:
        client.close()
