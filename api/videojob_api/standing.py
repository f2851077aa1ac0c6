"""Where a job stands: its position among those that wait, and when it may end. Approximate; see `estimates`."""

from dataclasses import dataclass
from datetime import datetime

from videojob.phases import TERMINAL_PHASES
from videojob_api.cache import Cache
from videojob_api.estimates import eta_of_running, eta_of_waiting
from videojob_api.records import Record


@dataclass(frozen=True, slots=True)
class Standing:
    """What a VideoJob alone does not tell.

    Attributes:
        queue_position: among the waiting jobs of the same profile, 1 = the next; None where it does not wait.
        eta_seconds: until the end; None where nothing is known.
    """

    queue_position: int | None = None
    eta_seconds: int | None = None


NOWHERE = Standing()


def standing_of(record: Record | None, cache: Cache, now: datetime) -> Standing:
    """Return where a job stands at this moment; None is one that is not remembered."""
    if record is None or record.phase in TERMINAL_PHASES:
        return NOWHERE
    render_seconds = cache.render_times.expected(record.shape, record.steps)
    ahead = cache.ahead_of(record)
    if ahead is not None:
        return Standing(ahead + 1, eta_of_waiting(ahead, cache.running(record.profile), render_seconds))
    if not record.works:
        return NOWHERE
    started, told_at = _moment(record.started), _moment(record.told_at)
    return Standing(eta_seconds=eta_of_running(record.told_seconds, told_at, render_seconds, started, now))


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
