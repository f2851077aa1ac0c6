"""Whether the service was ever able to work: a wrong setting keeps it out of the load balancer, a later outage not.

Were every replica taken out whenever the API server or S3 is away, nobody could read what they still know.
"""

import asyncio
from collections.abc import Iterable

from videojob_api.storage import Storage
from videojob_api.store import JobStore


class Readiness:
    """Remembers that Kubernetes and S3 have answered."""

    def __init__(self, stores: Iterable[JobStore], storage: Storage) -> None:
        self._stores = tuple(stores)
        self._storage = storage
        self._confirmed = False

    async def confirm(self) -> None:
        """Return when both have answered, now or before.

        Raises:
            ClusterUnavailable: Kubernetes does not answer.
            StorageUnavailable: S3 does not answer.
        """
        if not self._confirmed:
            await asyncio.gather(self._storage.probe(), *(jobs.known() for jobs in self._stores))
            self._confirmed = True
