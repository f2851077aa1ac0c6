"""From a VideoJob to what a REST client is told of it: pure.

Manifests are read as plain dicts: an operator newer than this API may write fields and phases that it does not know,
and a client should see its job all the same.
"""

from typing import Any

from videojob.phases import TERMINAL_PHASES, Phase
from videojob_api.answers import JobAnswer, JobProgress, StatusWord

Manifest = dict[str, Any]

STATUS_WORDS: dict[str, StatusWord] = {
    "": "pending",  # the operator has not seen it yet
    Phase.PENDING: "pending",
    Phase.QUEUED: "pending",
    Phase.STARTING: "processing",
    Phase.RUNNING: "processing",
    Phase.UPLOADING: "processing",
    Phase.SUCCEEDED: "completed",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "failed",
}
"""Phase -> the word of the four that every client knows."""

ACTIVE = ",".join(f"status.phase!={phase}" for phase in sorted(TERMINAL_PHASES))
"""Field selector of the jobs that have not ended."""

COMPLETED = f"status.phase={Phase.SUCCEEDED}"
"""Field selector of the jobs whose video is there."""


def selector(status: StatusWord | None, model: str | None) -> str:
    """Return the field selector of the jobs with this status word and this model; None = any.

    Selectors know no "or", so the phases of all other words are excluded.
    """
    others = [phase for phase, word in STATUS_WORDS.items() if status is not None and word != status]
    terms = [f"status.phase!={phase}" for phase in others]
    if model is not None:
        terms.append(f"spec.request.model={model}")
    return ",".join(terms)


def job_id_of(job: Manifest) -> str:
    """Return the job's id, which is the VideoJob's name."""
    return str(job["metadata"]["name"])


def uid_of(job: Manifest) -> str:
    """Return the uid of the VideoJob."""
    return str(job["metadata"]["uid"])


def status_of(job: Manifest) -> Manifest:
    """Return the status, empty where the operator has not written one."""
    status: Manifest = job.get("status") or {}
    return status


def word_of(job: Manifest) -> StatusWord:
    """Return the status word; a phase that this version does not know is on its way."""
    return STATUS_WORDS.get(status_of(job).get("phase") or "", "processing")


def describe(job: Manifest) -> JobAnswer:
    """Tell a client where its job stands."""
    status = status_of(job)
    word = word_of(job)
    job_id = job_id_of(job)
    model = (status.get("resolved") or {}).get("model") or job["spec"]["request"].get("model")
    return JobAnswer(
        job_id=job_id,
        status=word,
        phase=status.get("phase") or Phase.PENDING,
        reason=status.get("reason"),
        message=status.get("message"),
        model=model,
        progress=_progress(status),
        created_time=job["metadata"]["creationTimestamp"],
        started_time=status.get("startTime"),
        completed_time=status.get("completionTime"),
        video_url=f"/video/{job_id}" if word == "completed" else None,
    )


def _progress(status: Manifest) -> JobProgress | None:
    """The progress of the attempt that runs now; what an earlier one wrote last is history."""
    progress = status.get("progress")
    if not progress or status.get("podName") not in (None, progress.get("podName")):
        return None
    return JobProgress(
        stage=progress["stage"],
        step=progress.get("step"),
        steps=progress.get("steps"),
        percent=progress["percent"],
        eta_seconds=progress.get("etaSeconds"),
    )
