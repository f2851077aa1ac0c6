"""Full lists of what the API server holds, taken into the cache page by page.

Each watch goes on from the version of such a list, at the start and whenever it was cut off for too long, so nothing
is missed between the two, and what was deleted meanwhile is found out at once.
"""

from videojob.names import NAME_LABEL
from videojob_operator.client import SELECTORS
from videojob_operator.context import Context
from videojob_operator.manifests import Key, Kind, uid_of


class Lists:
    """Lists the namespaces that are looked after.

    Args:
        context: what is shared.
        namespaces: where VideoJobs are looked after.
    """

    def __init__(self, context: Context, namespaces: tuple[str, ...]) -> None:
        self._context = context
        self._namespaces = namespaces
        self._unwatched: dict[tuple[Kind, str], int] = {}

    @property
    def watches(self) -> int:
        """How many watches go on from these lists, all at once."""
        return len(self._namespaces) * len(SELECTORS)

    async def begin(self) -> None:
        """Take in everything for the first time; the first watch of each kind goes on from here."""
        self._unwatched = await self.take_in_everything()

    async def take_in_everything(self) -> dict[tuple[Kind, str], int]:
        """List all kinds in all namespaces, and have every VideoJob looked at; returns the versions of the lists."""
        versions = {
            (kind, namespace): await self._take_in(kind, namespace)
            for namespace in self._namespaces
            for kind in SELECTORS
        }
        for key in self._context.cache.video_job_keys():
            self._context.queue.add(key)
        return versions

    async def take_in_pods_of(self, key: Key) -> None:
        """List the pods of one VideoJob."""
        await self._learn(Kind.PODS, key.namespace, f"{NAME_LABEL}={key.name}")

    async def version_to_watch_from(self, kind: Kind, namespace: str) -> int:
        """Return the version of the first list where nobody has watched from it yet, else that of a new one."""
        version = self._unwatched.pop((kind, namespace), None)
        return await self._take_in(kind, namespace) if version is None else version

    async def _take_in(self, kind: Kind, namespace: str) -> int:
        """Take in a whole kind and drop what is gone; returns the version of the list."""
        uids, version = await self._learn(kind, namespace, SELECTORS[kind])
        for key in self._context.cache.drop_ghosts(kind, namespace, uids, version):
            self._context.queue.add(key)
        return version

    async def _learn(self, kind: Kind, namespace: str, selector: str) -> tuple[set[str], int]:
        uids: set[str] = set()
        version = 0
        with self._context.cache.listing():
            async for page, of_list in self._context.client.list_pages(kind, namespace, selector):
                version = of_list
                for manifest in page:
                    self._context.learn(kind, manifest, of_list)
                    uids.add(uid_of(manifest))
        return uids, version
