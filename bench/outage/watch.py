"""What goes on while the API server is away: looked at every few seconds, and kept as figures."""

import time
from collections import Counter
from dataclasses import dataclass, field

import httpx
from bench.chaos.victims import pods_of
from tests.support.probes import probe

from videojob_local.stack import Stack

NAMESPACE = "outage"
"""Of the drill, and not of a stack of `make up` or `make chaos` on the same machine."""

STALE = "x-videojob-stale-seconds"
_TIMEOUT_SECONDS = 30
_FIRST_NOTICE_SECONDS = 15
"""How long the API may take to notice that nobody answers it: its reads are those of a quiet cluster until then."""


class OperatorProcess:
    """The operator of a stack, as the machine sees it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        ((self._process, variables),) = pods_of(stack, NAMESPACE, "videojob_operator")
        self._port = int(variables["VIDEOJOB_HEALTH_PORT"])
        self._birth = self._process.create_time()

    def is_the_same(self) -> bool:
        """Tell whether it still runs, and is the only one."""
        found = [process for process, _ in pods_of(self._stack, NAMESPACE, "videojob_operator")]
        return found == [self._process] and self._process.create_time() == self._birth

    def probe(self, path: str) -> int:
        """Return the status of a probe; 0 while nobody answers."""
        return probe(self._port, path, _TIMEOUT_SECONDS)[0]

    def cpu_seconds(self) -> float:
        """Return what it has used since its start."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        """Return its memory."""
        return round(self._process.memory_info().rss / 2**20, 1)


@dataclass
class Seen:
    """What was seen.

    Attributes:
        looks: how often.
        faults: sentence -> how often it was true.
        rss_mb: of the operator, at each look.
        cpu_seconds: of the operator, during the outage.
        stale_seconds: the largest that the API has told.
        reads: that the API has answered as it should.
        refused: writes that the API has refused as it should.
    """

    looks: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    rss_mb: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0
    stale_seconds: int = 0
    reads: int = 0
    refused: int = 0


class Watch:
    """Looks at operator and API.

    Args:
        operator: whom it watches.
        http: client of the API.
        jobs: names of jobs that are known, the first with a video.
        video: that video.
    """

    def __init__(self, operator: OperatorProcess, http: httpx.Client, jobs: list[str], video: bytes) -> None:
        self._operator = operator
        self._http = http
        self._jobs = jobs
        self._video = video
        self.seen = Seen()

    def until(self, deadline: float, pause_seconds: float) -> Seen:
        """Look until a moment of the monotonic clock."""
        began, cpu_seconds = time.monotonic(), self._operator.cpu_seconds()
        while time.monotonic() < deadline:
            self._look(is_noticed=time.monotonic() - began > _FIRST_NOTICE_SECONDS)
            time.sleep(max(0.0, min(pause_seconds, deadline - time.monotonic())))
        self.seen.cpu_seconds = self._operator.cpu_seconds() - cpu_seconds
        return self.seen

    def _look(self, *, is_noticed: bool) -> None:
        seen, operator = self.seen, self._operator
        seen.looks += 1
        seen.rss_mb.append(operator.rss_mb())
        self._expect(operator.is_the_same(), "the operator is another process than before")
        self._expect(operator.probe("/healthz") == 200, "the operator's /healthz is not 200")
        for path in (*(f"/status/{name}" for name in self._jobs), "/jobs", "/health"):
            stale = int(self._read(path).headers.get(STALE, 0))
            if is_noticed:
                self._expect(stale, f"GET {path.rpartition('/')[0] or path}: old, and does not say so")
            seen.stale_seconds = max(seen.stale_seconds, stale)
        self._read("/readyz")
        video = self._read(f"/video/{self._jobs[0]}")
        self._expect(video.content == self._video, "GET /video of a finished job: other bytes")
        refused = self._http.post("/generate", json={"prompt": "too early"})
        is_right = refused.status_code == 503 and int(refused.headers.get("retry-after", 0)) > 0
        self._expect(is_right, f"POST /generate: {refused.status_code}, not 503 with Retry-After")
        seen.refused += is_right

    def _read(self, path: str) -> httpx.Response:
        answer = self._http.get(path)
        is_right = answer.status_code == 200
        self._expect(is_right, f"GET {path.partition('/job-')[0]} of what is known: {answer.status_code}")
        self.seen.reads += is_right
        return answer

    def _expect(self, holds: object, otherwise: str) -> None:
        if not holds:
            self.seen.faults[otherwise] += 1
