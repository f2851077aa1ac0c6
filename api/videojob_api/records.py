"""What the API remembers of a VideoJob: a few fields to choose and count by, and the rest packed. Pure.

A manifest as a dict takes some eight kilobytes, packed one: ten thousand jobs fit beside everything else. It is
unpacked when somebody asks for the job.
"""

import zlib
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import NamedTuple

from pydantic_core import from_json, to_json

from videojob.names import BATCH_LABEL
from videojob.phases import Phase
from videojob.spec import DEFAULT_PROFILE
from videojob_api.manifests import Manifest

_UNUSED_METADATA = frozenset({"managedFields"})  # half the size of an object, and nobody here looks at it
_FAST = 1  # of zlib's levels: the others win little on texts of two kilobytes
_WAITING = frozenset({"", Phase.PENDING, Phase.QUEUED})
_WORKING = frozenset({Phase.STARTING, Phase.RUNNING, Phase.UPLOADING})


class Shape(NamedTuple):
    """What decides, with the number of steps, how long a render takes."""

    model: str
    width: int
    height: int
    num_frames: int


@dataclass(frozen=True, slots=True)
class Record:
    """One version of one VideoJob.

    Attributes:
        version: resourceVersion; of two records of a job the one with the higher version is the newer.
        created: creationTimestamp as Kubernetes writes it, which sorts by time.
        phase: empty where the operator has not seen the job yet.
        batch: the name of the first of those that were asked for together; empty for a job alone.
        waits: the job waits for a GPU, and nobody holds it back.
        shape: None until the operator has filled in the defaults.
        render_seconds: how long the render took; None unless it succeeded.
        started: startTime, empty before it.
        completed: completionTime, empty before it.
        told_seconds: until the end, as the renderer that is at work said last.
        told_at: when it said so; may be empty.
        gpu_percent: GPU use that the renderer reports.
        packed: the manifest, for `manifest`.
    """

    name: str
    uid: str
    version: int
    created: str
    phase: str
    profile: str
    batch: str
    model: str
    waits: bool
    shape: Shape | None
    steps: int
    render_seconds: float | None
    started: str
    completed: str
    told_seconds: int | None
    told_at: str
    gpu_percent: int | None
    packed: bytes

    @property
    def works(self) -> bool:
        """Whether the job has a GPU."""
        return self.phase in _WORKING

    @property
    def place(self) -> tuple[str, str]:
        """Sorts jobs by age."""
        return self.created, self.name

    def manifest(self) -> Manifest:
        """Return the VideoJob."""
        unpacked: Manifest = from_json(zlib.decompress(self.packed), cache_strings="keys")
        return unpacked


def remember(job: Manifest) -> Record:
    """Make the record of a VideoJob."""
    meta = {key: value for key, value in job["metadata"].items() if key not in _UNUSED_METADATA}
    spec, status = job["spec"], job.get("status") or {}
    phase = status.get("phase") or ""
    resolved, progress = status.get("resolved") or {}, status.get("progress") or {}
    return Record(
        name=meta["name"],
        uid=meta["uid"],
        version=int(meta["resourceVersion"]),
        created=meta["creationTimestamp"],
        phase=intern(phase),
        profile=intern(spec.get("profile") or DEFAULT_PROFILE),
        batch=batch_of(job),
        model=intern(resolved.get("model") or spec["request"].get("model") or ""),
        waits=phase in _WAITING and not (spec.get("suspend") or spec.get("cancel") or meta.get("deletionTimestamp")),
        shape=_shape(resolved),
        steps=resolved.get("steps") or 0,
        render_seconds=_render_seconds(status) if phase == Phase.SUCCEEDED else None,
        started=status.get("startTime") or "",
        completed=status.get("completionTime") or "",
        told_seconds=progress.get("etaSeconds") if progress.get("podName") == status.get("podName") else None,
        told_at=progress.get("updatedTime") or "",
        gpu_percent=(status.get("renderer") or {}).get("gpuUtilization"),
        packed=zlib.compress(to_json({**job, "metadata": meta}), _FAST),
    )


def batch_of(job: Manifest) -> str:
    """Return the name of the first of those that a VideoJob was asked for with; empty where it was alone."""
    return str((job["metadata"].get("labels") or {}).get(BATCH_LABEL, ""))


def _shape(resolved: Manifest) -> Shape | None:
    values = [resolved.get(field) for field in ("model", "width", "height", "numFrames")]
    return None if None in values else Shape(intern(str(values[0])), *values[1:])  # type: ignore[arg-type]


def _render_seconds(status: Manifest) -> float | None:
    started, completed = status.get("startTime"), status.get("completionTime")
    if not started or not completed:
        return None
    return (datetime.fromisoformat(completed) - datetime.fromisoformat(started)).total_seconds()
