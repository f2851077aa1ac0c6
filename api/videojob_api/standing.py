"""Where a job stands: its position among those that wait, and when it may end. Approximate; see `estimates`."""

from dataclasses import dataclass
from datetime import datetime

from videojob.phases import TERMINAL_PHASES
from videojob_api.cache import Cache
from videojob_api.estimates import eta_of_running, eta_of_waiting
from videojob_api.records import Manifest, Record


@dataclass(frozen=True, slots=True)
class Standing:
    """What a VideoJob alone does not tell.

    Attributes:
        queue_position: among the waiting jobs of the same profile, 1 = the next; None where it does not wait.
        eta_seconds: until the end; None where nothing is known.
    """

    queue_position: int | None = None
    eta_seconds: int | None = None


def standing_of(job: Manifest, cache: Cache, now: datetime) -> Standing:
    """Return where a job stands at this moment."""
    record = cache.get(job["metadata"]["name"])
    if record is None or record.phase in TERMINAL_PHASES:
        return Standing()
    render_seconds = cache.render_times.expected(record.shape, record.steps)
    ahead = cache.ahead_of(record)
    if ahead is not None:
        return Standing(ahead + 1, eta_of_waiting(ahead, cache.running(record.profile), render_seconds))
    return Standing(eta_seconds=_eta_at_work(job, record, render_seconds, now))


def _eta_at_work(job: Manifest, record: Record, render_seconds: float | None, now: datetime) -> int | None:
    if not record.works:
        return None
    status = job.get("status") or {}
    progress = status.get("progress") or {}
    is_current = progress.get("podName") == status.get("podName")
    return eta_of_running(
        progress.get("etaSeconds") if is_current else None,
        _moment(progress.get("updatedTime")),
        render_seconds,
        _moment(status.get("startTime")),
        now,
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
