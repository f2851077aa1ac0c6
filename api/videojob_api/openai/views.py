"""From a VideoJob to a video of the OpenAI protocol. Pure.

Until the operator has filled in `status.resolved`, the same function that it uses says what will be rendered.
"""

from collections.abc import Sequence
from datetime import datetime

from pydantic import ValidationError

from videojob.catalogue import Catalogue
from videojob.errors import VideoJobError
from videojob.names import REMIXED_FROM_ANNOTATION
from videojob.phases import Phase
from videojob.request import VideoJobRequest
from videojob.resolve import resolve
from videojob_api.answers import JobAnswer, StatusWord
from videojob_api.manifests import Manifest
from videojob_api.openai.answers import Video, VideoError, VideoStatus
from videojob_api.openai.rules import seconds_of, size_of
from videojob_api.views import describe, status_of

POLL_AFTER_MS = 1000
"""What a client is told to wait between two looks. The official ones take the first answer's word for all looks."""

CANCELLED = "cancelled"

_WORDS: dict[StatusWord, VideoStatus] = {
    "pending": "queued",
    "processing": "in_progress",
    "completed": "completed",
    "failed": "failed",
}


def video_of(job: Manifest, catalogue: Catalogue, batch: Sequence[str] = ()) -> Video:
    """Tell a client of the protocol where its job stands.

    Args:
        job: the VideoJob.
        catalogue: the models.
        batch: the names of all that were asked for together with it, its own included.
    """
    told = describe(job)
    values = _values(job, catalogue)
    frames, fps = values.get("numFrames"), values.get("fps")
    return Video(
        id=told.job_id,
        model=values.get("model") or catalogue.default_model,
        status=_WORDS[told.status],
        progress=100 if told.status == "completed" else told.progress.percent if told.progress else 0,
        created_at=int(told.created_time.timestamp()),
        completed_at=int(told.completed_time.timestamp()) if told.completed_time else None,
        expires_at=_expires_at(job, told.completed_time),
        prompt=job["spec"]["request"]["prompt"],
        remixed_from_video_id=(job["metadata"].get("annotations") or {}).get(REMIXED_FROM_ANNOTATION),
        seconds=seconds_of(frames, fps) if frames and fps else "0",
        size=size_of(values.get("width") or 0, values.get("height") or 0),
        error=_error(told) if told.status == "failed" else None,
        num_frames=frames,
        fps=fps,
        seed=values.get("seed"),
        batch=list(batch) or None,
    )


def _values(job: Manifest, catalogue: Catalogue) -> Manifest:
    """What is rendered; of a job that can never be, only what was asked for."""
    asked: Manifest = job["spec"]["request"]
    resolved: Manifest = status_of(job).get("resolved") or {}
    if "numFrames" not in resolved:
        try:
            expected = resolve(VideoJobRequest.model_validate(asked), catalogue).values_for_status()
        except (VideoJobError, ValidationError):
            expected = {}
        resolved = {**expected, **resolved}
    return {**asked, **resolved}


def _expires_at(job: Manifest, completed: datetime | None) -> int | None:
    lifetime = job["spec"].get("ttlSecondsAfterFinished")
    return None if completed is None or lifetime is None else int(completed.timestamp()) + int(lifetime)


def _error(told: JobAnswer) -> VideoError:
    """Say why there will be no video, and in the same breath what can be done: the protocol has no word for a hint."""
    if told.phase == Phase.CANCELLED:
        return VideoError(code=CANCELLED, message=told.message or "the job was cancelled")
    message = told.message or "the job has failed"
    return VideoError(code=told.reason or "RendererFailed", message=f"{message}; {told.hint}" if told.hint else message)
