"""The newest known version of every VideoJob of a namespace, and who waits in which line. No I/O.

Three rules keep it right. A newer resourceVersion wins, whichever of watch, list and own write brings it. What was
deleted stays so: an answer that was under way meanwhile does not bring it back. And after a full list, what it does not
hold is dropped, unless it is newer than the list.
"""

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TypeVar

from videojob.phases import TERMINAL_PHASES
from videojob_api.estimates import RenderTimes
from videojob_api.manifests import Manifest
from videojob_api.records import Record, remember

GRAVES_KEPT = 10_000

Place = tuple[str, str]
V = TypeVar("V")


class Cache:
    """All records, their order and the lines."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._order: list[Place] = []
        self._lines: defaultdict[str, list[Place]] = defaultdict(list)
        self._phases: Counter[str] = Counter()
        self._running: Counter[str] = Counter()
        self._graves: OrderedDict[str, None] = OrderedDict()
        self._former_places: OrderedDict[str, Place] = OrderedDict()
        self._bells: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._moved_lines: set[str] = set()
        self.render_times = RenderTimes()

    def __len__(self) -> int:
        return len(self._records)

    def get(self, name: str) -> Record | None:
        """Return the record of a job."""
        return self._records.get(name)

    def place_of(self, name: str) -> Place | None:
        """Return where a job stands by age, or stood until it was deleted; None where that is not known any more."""
        record = self._records.get(name)
        return record.place if record else self._former_places.get(name)

    def absorb(self, job: Manifest) -> None:
        """Take in a VideoJob, unless a newer version of it is known or it was deleted."""
        record = remember(job)
        known = self._records.get(record.name)
        if record.uid in self._graves or (known and known.version >= record.version):
            return
        if known:
            self._unlink(known)
        self._link(record)
        self._ring(record.name)
        if known is None or known.phase != record.phase:
            self.render_times.note(record)

    def forget(self, name: str, uid: str) -> None:
        """Drop a deleted VideoJob; a namesake that was created since stays."""
        _keep(self._graves, uid, None)
        known = self._records.get(name)
        if known and known.uid == uid:
            _keep(self._former_places, name, known.place)
            self._unlink(known)
            self._ring(name)

    def drop_all_but(self, uids: Collection[str], version: int) -> None:
        """Drop what a full list of this version does not hold: a watch that broke may have missed its end."""
        ghosts = [each for each in self._records.values() if each.uid not in uids and each.version <= version]
        for ghost in ghosts:
            self.forget(ghost.name, ghost.uid)

    def count(self, phase: str) -> int:
        """Count the jobs of a phase."""
        return self._phases[phase]

    def active(self) -> int:
        """Count the jobs that have not ended."""
        return len(self._records) - sum(self._phases[phase] for phase in TERMINAL_PHASES)

    def gpu_percents(self) -> list[int]:
        """Return the GPU use that renderers at work report."""
        at_work = (each for each in self._records.values() if each.works)
        return [each.gpu_percent for each in at_work if each.gpu_percent is not None]

    def after(self, place: Place | None, *, newest_first: bool = False) -> Iterator[Record]:
        """Go through the jobs by age, from behind a place on; None = all of them."""
        if newest_first:
            end = len(self._order) if place is None else bisect_left(self._order, place)
            return (self._records[name] for _, name in reversed(self._order[:end]))
        start = 0 if place is None else bisect_right(self._order, place)
        return (self._records[name] for _, name in self._order[start:])

    def ahead_of(self, record: Record) -> int | None:
        """Count the jobs of the same profile that wait longer; None where the job does not wait."""
        return bisect_left(self._lines[record.profile], record.place) if record.waits else None

    def running(self, profile: str) -> int:
        """Count the jobs of a profile that have a GPU."""
        return self._running[profile]

    @contextmanager
    def listening(self, name: str) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever the job or its place in the line may have changed."""
        bell = asyncio.Event()
        self._bells[name].add(bell)
        try:
            yield bell
        finally:
            self._bells[name].discard(bell)
            if not self._bells[name]:
                del self._bells[name]

    def ring_for_moved_lines(self) -> None:
        """Tell those who listen to waiting jobs that their line has moved; not at every move, for lines may be long."""
        moved, self._moved_lines = self._moved_lines, set()
        for name in [*self._bells] if moved else ():
            record = self._records.get(name)
            if record and record.waits and record.profile in moved:
                self._ring(name)

    def _ring(self, name: str) -> None:
        for bell in self._bells.get(name, ()):
            bell.set()

    def _link(self, record: Record) -> None:
        self._records[record.name] = record
        insort(self._order, record.place)
        self._phases[record.phase] += 1
        if record.works:
            self._running[record.profile] += 1
        if record.waits:
            insort(self._lines[record.profile], record.place)
            self._moved_lines.add(record.profile)

    def _unlink(self, record: Record) -> None:
        del self._records[record.name]
        _remove(self._order, record.place)
        self._phases[record.phase] -= 1
        if record.works:
            self._running[record.profile] -= 1
        if record.waits:
            _remove(self._lines[record.profile], record.place)
            self._moved_lines.add(record.profile)


def _keep(graves: OrderedDict[str, V], name: str, value: V) -> None:
    """Put it among those of the latest dead."""
    graves[name] = value
    graves.move_to_end(name)
    if len(graves) > GRAVES_KEPT:
        graves.popitem(last=False)


def _remove(places: list[Place], place: Place) -> None:
    del places[bisect_left(places, place)]
