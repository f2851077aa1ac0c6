"""What becomes of one job, told as it happens: server-sent events out of the memory, without I/O.

Every event tells the whole state, so whoever missed some has lost nothing. Its id is made of the version of the
VideoJob and the place in the queue, which are the same on every replica: a client that comes back with its last id, to
whichever replica, is told only what is new. All who listen to one job are sent the same text, which is made once.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from sse_starlette import ServerSentEvent

from videojob.phases import TERMINAL_PHASES
from videojob_api.records import Record
from videojob_api.refusals import unknown_job
from videojob_api.store import JobStore
from videojob_api.views import text_of

HEARTBEAT_SECONDS = 15
RETRY_MILLISECONDS = 2000


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a job has come.

    Attributes:
        id: of the event that tells it.
        is_last: nothing will follow.
    """

    uid: str
    id: str
    is_last: bool


class Feed:
    """Events of jobs."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs

    async def mark(self, name: str) -> Mark:
        """Return how far a job has come.

        Raises:
            UnknownJob: there is none.
            ClusterUnavailable: it is not known here, and Kubernetes does not answer.
        """
        await self._jobs.get(name)
        record = self._jobs.cache.get(name)
        if record is None:
            raise unknown_job(name)
        return self._mark(record)

    async def follow(self, name: str, uid: str, last_id: str | None) -> AsyncIterator[ServerSentEvent]:
        """Tell where a job stands and then every change, until it has ended or is deleted.

        Args:
            name: of the job.
            uid: of the job; a namesake is another one.
            last_id: id of the event that the client got last.
        """
        with self._jobs.cache.listening(name) as bell:
            while True:
                bell.clear()
                record = self._jobs.cache.get(name)
                if record is None or record.uid != uid:
                    yield ServerSentEvent("{}", event="deleted")
                    return
                mark = self._mark(record)
                if mark.id != last_id:
                    last_id = mark.id
                    text = text_of(record, self._jobs.standing_of(record))
                    yield ServerSentEvent(text, event="status", id=mark.id, retry=RETRY_MILLISECONDS)
                if mark.is_last:
                    return
                await bell.wait()

    def _mark(self, record: Record) -> Mark:
        ahead = self._jobs.cache.ahead_of(record)
        place = 0 if ahead is None else ahead + 1
        return Mark(record.uid, f"{record.version}-{place}", record.phase in TERMINAL_PHASES)
