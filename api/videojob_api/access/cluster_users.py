"""Callers by a token of the cluster: who may do something to VideoJobs with kubectl may do it here, and nobody else.

The API server is asked who has the token (TokenReview) and whether that user may use the verb in the namespace
(SubjectAccessReview); both answers hold for up to a minute, so a right that was taken away ends within that time. Of a
token only the hash is kept. While the API server is away, those are let in whose answers still hold.
"""

from videojob_api.access.callers import Account, Caller, digest_of
from videojob_api.access.decisions import Decisions
from videojob_api.errors import Forbidden, Unauthenticated
from videojob_api.kubernetes import Reviews


class ClusterUsers:
    """Lets those in whom the cluster knows, as far as its rights go."""

    def __init__(self, reviews: Reviews, requests_per_minute: int) -> None:
        self._reviews = reviews
        self._requests_per_minute = requests_per_minute
        self._accounts: Decisions[bytes, Account | None] = Decisions()
        self._rights: Decisions[tuple[Account, str, str], bool] = Decisions()

    async def admit(self, token: str | None, _address: str) -> Caller:
        """Return which user of the cluster has this token."""
        if token is None:
            raise Unauthenticated("this service wants a token of the cluster: Authorization: Bearer TOKEN")
        account = None
        if digest := digest_of(token):
            account = await self._accounts.get(digest, lambda: self._reviews.who(token))
        if account is None:
            raise Unauthenticated("the cluster does not know this token, or it has ended")
        return Caller(account.username, self._requests_per_minute, account=account)

    async def permit(self, caller: Caller, namespace: str, verbs: tuple[str, ...]) -> None:
        """Ask the cluster, verb by verb."""
        account = caller.account
        for verb in verbs:
            if account is None or not await self._may(account, namespace, verb):
                raise Forbidden(f"{caller.name} may not {verb} videojobs in the namespace {namespace}")

    async def _may(self, account: Account, namespace: str, verb: str) -> bool:
        return await self._rights.get((account, namespace, verb), lambda: self._reviews.may(account, namespace, verb))
