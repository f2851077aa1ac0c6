"""How long a job will still take, as far as one can tell: pure.

Approximate by nature. A render's time follows its model, size, frames and steps closely, so recent renders of the same
kind are the measure; a line moves each time one of the running jobs ends, so its pace is their number over that time.
Priorities, quotas, new nodes and failures are not foreseen. Where nothing is known, nothing is said.
"""

from bisect import insort
from collections import OrderedDict
from datetime import datetime
from statistics import median

from videojob_api.records import Record, Shape

RENDERS_KEPT = 16
"""Of each shape, the newest."""

SHAPES_KEPT = 512


class RenderTimes:
    """Seconds a step of the newest renders of each shape, loading and encoding included."""

    def __init__(self) -> None:
        self._renders: OrderedDict[Shape, list[tuple[str, float]]] = OrderedDict()

    def note(self, record: Record) -> None:
        """Learn from a job, if it has succeeded."""
        if record.shape is None or record.steps < 1 or not record.render_seconds:
            return
        renders = self._renders.setdefault(record.shape, [])
        insort(renders, (record.completed, record.render_seconds / record.steps))
        del renders[:-RENDERS_KEPT]
        self._renders.move_to_end(record.shape)
        if len(self._renders) > SHAPES_KEPT:
            self._renders.popitem(last=False)

    def expected(self, shape: Shape | None, steps: int) -> float | None:
        """Return how many seconds a render of this shape takes, None where there was none yet."""
        renders = self._renders.get(shape) if shape else None
        return median(each for _, each in renders) * steps if renders else None


def eta_of_waiting(ahead: int, running: int, render_seconds: float | None) -> int | None:
    """Return the seconds until a waiting job ends.

    Args:
        ahead: jobs before it in its line.
        running: jobs of its profile that run now.
        render_seconds: how long a render like it takes.
    """
    if render_seconds is None or (running == 0 and ahead > 0):
        return None
    waiting_seconds = render_seconds * (ahead + 1) / running if running else 0.0
    return round(waiting_seconds + render_seconds)


def eta_of_running(
    told_seconds: int | None,
    told_at: datetime | None,
    render_seconds: float | None,
    started: datetime | None,
    now: datetime,
) -> int | None:
    """Return the seconds until a running job ends.

    Args:
        told_seconds: what its renderer said last.
        told_at: when it said so.
        render_seconds: how long a render like it takes; used until the renderer says something.
        started: when it began.
        now: the time.
    """
    if told_seconds is not None and told_at is not None:
        return max(0, round(told_seconds - max(0.0, (now - told_at).total_seconds())))
    if render_seconds is None or started is None:
        return None
    left = round(render_seconds - (now - started).total_seconds())
    return left if left > 0 else None
