"""Leader election by a Lease, so that one of several operators works and the others stand by.

It saves work and keeps counters single; correctness never hangs on it, because every action verifies itself.

Only local monotonic clocks are compared: another candidate's `renewTime` is looked at for change, never for its value,
so clocks may differ by hours. While the API server is away nobody can take the Lease: then the leader rests and goes
on when it may, instead of ending. It ends when another one holds the Lease.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from videojob_operator.client import Client
from videojob_operator.errors import Conflict, OperatorError
from videojob_operator.manifests import Manifest

LEASE_API = "coordination.k8s.io/v1"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long things last.

    Attributes:
        duration_seconds: a Lease that has not changed for so long is free.
        renew_deadline_seconds: a leader that could not renew for so long rests, once the try under way has ended.
        retry_seconds: between two tries.
    """

    duration_seconds: float
    renew_deadline_seconds: float
    retry_seconds: float

    @classmethod
    def of(cls, duration_seconds: float) -> "Terms":
        """Return the usual proportions: 15, 10 and 2 seconds."""
        return cls(
            duration_seconds=duration_seconds,
            renew_deadline_seconds=duration_seconds * 2 / 3,
            retry_seconds=duration_seconds * 2 / 15,
        )


class Ballot:
    """What one candidate knows of the Lease. Pure: times are arguments.

    Args:
        identity: unique name of the candidate.
        terms: how long things last.
    """

    def __init__(self, identity: str, terms: Terms) -> None:
        self.identity = identity
        self._terms = terms
        self._seen: tuple[Any, Any] | None = None
        self._seen_at = 0.0

    def bid(self, lease: Manifest, monotonic: float, now: datetime) -> Manifest | None:
        """Return the Lease as it is to be written; None while another candidate holds it.

        Args:
            lease: as it was read.
            monotonic: this process' clock.
            now: for people who look at the Lease.
        """
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity")
        record = (holder, spec.get("renewTime"))
        if record != self._seen:
            self._seen, self._seen_at = record, monotonic
        expires_at = self._seen_at + spec.get("leaseDurationSeconds", self._terms.duration_seconds)
        if holder and holder != self.identity and monotonic < expires_at:
            return None
        claim = self.claim(now)
        if holder != self.identity:
            claim |= {"acquireTime": claim["renewTime"], "leaseTransitions": spec.get("leaseTransitions", 0) + 1}
        return {**lease, "spec": {**spec, **claim}}

    def claim(self, now: datetime) -> Manifest:
        """Return the fields of a renewal."""
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self._terms.duration_seconds)),
            "renewTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }


class Leadership:
    """One candidate at work.

    Args:
        client: of the API server.
        namespace: of the Lease.
        name: of the Lease.
        identity: unique name of this candidate.
        terms: how long things last.
        monotonic: a clock that only runs forward.

    Attributes:
        held: set while this candidate may act.
        trouble: why the last try got no answer; None when it got one.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        terms: Terms,
        *,
        monotonic: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._ballot = Ballot(identity, terms)
        self._terms = terms
        self._monotonic = monotonic
        self._now = now
        self.held = asyncio.Event()
        self.trouble: str | None = None

    @property
    def identity(self) -> str:
        """This candidate's name."""
        return self._ballot.identity

    async def acquire(self, on_try: Callable[[str | None], None]) -> None:
        """Return once the Lease is ours.

        Args:
            on_try: told after each try in vain why it got no answer; None when it got one.
        """
        while not await self._try():
            on_try(self.trouble)
            await asyncio.sleep(self._terms.retry_seconds)
        self.held.set()

    async def keep(self) -> None:
        """Renew the Lease; return when another candidate has it."""
        renewed_at = self._monotonic()
        while True:
            await asyncio.sleep(self._terms.retry_seconds)
            if self.held.is_set() and self._monotonic() - renewed_at > self._terms.renew_deadline_seconds:
                log.warning("the Lease cannot be renewed; resting", extra={"error": self.trouble})
                self.held.clear()
            won = await self._try()
            if won:
                renewed_at = self._monotonic()
                self.held.set()
            elif won is False:
                self.held.clear()
                return

    async def release(self) -> None:
        """Give the Lease up, so that a standby need not wait. A courtesy: without an answer it runs out."""
        try:
            async with asyncio.timeout(self._terms.retry_seconds):
                lease = await self._client.read_lease(self._namespace, self._name)
                if lease and lease["spec"].get("holderIdentity") == self.identity:
                    lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._client.replace_lease(lease)
        except (OperatorError, TimeoutError) as error:
            log.warning("the Lease was not released", extra={"error": str(error)})

    async def _try(self) -> bool | None:
        """Bid once: True = ours, False = another's, None = not known."""
        try:
            async with asyncio.timeout(self._terms.renew_deadline_seconds / 2):
                won = await self._bid()
        except Conflict:  # written by someone else between our look and our bid
            self.trouble = None
            return None
        except (OperatorError, TimeoutError) as error:
            self.trouble = str(error) or "no answer in time"
            return None
        self.trouble = None
        return won

    async def _bid(self) -> bool:
        lease = await self._client.read_lease(self._namespace, self._name)
        now = self._now()
        if lease is None:
            claim = self._ballot.claim(now)
            spec = claim | {"acquireTime": claim["renewTime"], "leaseTransitions": 0}
            meta = {"name": self._name, "namespace": self._namespace}
            await self._client.create_lease({"apiVersion": LEASE_API, "kind": "Lease", "metadata": meta, "spec": spec})
            return True
        wanted = self._ballot.bid(lease, self._monotonic(), now)
        if wanted is None:
            return False
        await self._client.replace_lease(wanted)
        return True
