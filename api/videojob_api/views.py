"""From a VideoJob to what a REST client is told of it: pure.

An operator newer than this API may write phases that it does not know; a client should see its job all the same.
"""

from functools import lru_cache

from videojob.names import RESTORED_FROM_ANNOTATION
from videojob.phases import Phase
from videojob.spec import DEFAULT_PROFILE
from videojob_api.answers import JobAnswer, JobProgress, ListedJob, StatusWord
from videojob_api.manifests import Manifest
from videojob_api.records import Record
from videojob_api.spelling import SNAKE_CASE
from videojob_api.standing import NOWHERE, Standing

REMEMBERED = 1024
"""So many answers are kept, a kilobyte or two each."""

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


def job_id_of(job: Manifest) -> str:
    """Return the job's id, which is the VideoJob's name."""
    return str(job["metadata"]["name"])


def uid_of(job: Manifest) -> str:
    """Return the uid of the VideoJob."""
    return str(job["metadata"]["uid"])


def folder_uid_of(job: Manifest) -> str:
    """Return the uid below which the job's files lie: that of the VideoJob it was restored from, if it was."""
    return str(job["metadata"].get("annotations", {}).get(RESTORED_FROM_ANNOTATION) or uid_of(job))


def status_of(job: Manifest) -> Manifest:
    """Return the status, empty where the operator has not written one."""
    status: Manifest = job.get("status") or {}
    return status


def word_of(job: Manifest) -> StatusWord:
    """Return the status word."""
    return word_of_phase(status_of(job).get("phase") or "")


def word_of_phase(phase: str) -> StatusWord:
    """Return the status word of a phase; one that this version does not know is on its way."""
    return STATUS_WORDS.get(phase, "processing")


def has_ended(job: Manifest) -> bool:
    """Tell whether nothing more will become of the job."""
    return word_of(job) in {"completed", "failed"}


def describe(job: Manifest, standing: Standing = NOWHERE) -> JobAnswer:
    """Tell a client where its job stands."""
    return JobAnswer(**_fields(job, standing))


@lru_cache(maxsize=REMEMBERED)
def text_of(record: Record, standing: Standing) -> str:
    """Tell a client where its job stands, as JSON: the same for the same record and standing, so it is made once."""
    told = _described(record)
    if standing != NOWHERE:
        changed = {"queue_position": standing.queue_position, "eta_seconds": standing.eta_seconds}
        told = told.model_copy(update=changed)
    return told.model_dump_json()


@lru_cache(maxsize=REMEMBERED)
def _described(record: Record) -> JobAnswer:
    """Of a job at work the seconds that are left change all the time, and nothing else does."""
    return describe(record.manifest())


def describe_listed(job: Manifest, standing: Standing) -> ListedJob:
    """Tell a client where its job stands and what was asked for."""
    return ListedJob(**_fields(job, standing), request=request_of(job))


def request_of(job: Manifest, *, filled_in: bool = True) -> Manifest:
    """The body for POST /generate that gives the same video again, as far as it is decided what that is.

    Args:
        job: the VideoJob.
        filled_in: with the defaults that the operator filled in, for they may be others by then; else only the seed
            is added to what was asked for.
    """
    resolved: Manifest = status_of(job).get("resolved") or {}
    decided = {field: resolved[field] for field in resolved if field in SNAKE_CASE and (filled_in or field == "seed")}
    told = {SNAKE_CASE.get(field, field): value for field, value in (decided | job["spec"]["request"]).items()}
    return told | {"profile": job["spec"].get("profile") or DEFAULT_PROFILE}


def _fields(job: Manifest, standing: Standing) -> Manifest:
    status = status_of(job)
    word = word_of(job)
    job_id = job_id_of(job)
    model = (status.get("resolved") or {}).get("model") or job["spec"]["request"].get("model")
    return {
        "job_id": job_id,
        "status": word,
        "phase": status.get("phase") or Phase.PENDING,
        "reason": status.get("reason"),
        "message": status.get("message"),
        "hint": status.get("hint"),
        "model": model,
        "progress": _progress(status),
        "queue_position": standing.queue_position,
        "eta_seconds": standing.eta_seconds,
        "created_time": job["metadata"]["creationTimestamp"],
        "started_time": status.get("startTime"),
        "completed_time": status.get("completionTime"),
        "video_url": f"/video/{job_id}" if word == "completed" else None,
    }


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
