"""Where a renderer shows its token and gets URLs signed for the requests it wants to make, and for no others."""

from dataclasses import dataclass

from pydantic import ValidationError

from videojob.broker import SignedUrls, Wishes
from videojob.errors import violations
from videojob_api.access.callers import Caller
from videojob_api.access.rates import Rates
from videojob_api.broker.renderers import Renderers
from videojob_api.broker.rule import Attempt, refusal
from videojob_api.errors import Forbidden, InvalidInput
from videojob_api.storage import Storage

REQUESTS_PER_MINUTE = 1200
"""Of one pod. A render asks some twenty times in all, and six times a minute for its checkpoints."""


@dataclass(frozen=True, slots=True)
class Counter:
    """Grants wishes.

    Attributes:
        prefix: of all keys of this installation.
    """

    renderers: Renderers
    storage: Storage
    prefix: str
    rates: Rates

    async def admit(self, token: str | None) -> Attempt:
        """Return who asks.

        Raises:
            Unauthenticated: nobody that is known.
            Forbidden: no pod that renders here, now.
            RateLimited: it asks too often.
            ClusterUnavailable: the cluster would know, and does not answer.
        """
        attempt = await self.renderers.admit(token)
        self.rates.count(Caller(f"{attempt.namespace}/{attempt.pod_name}", REQUESTS_PER_MINUTE))
        return attempt

    async def grant(self, attempt: Attempt, body: bytes) -> SignedUrls:
        """Return a signed URL for each wish.

        Raises:
            InvalidInput: the body holds no wishes.
            Forbidden: one of them is not for this pod; none is granted.
            StorageUnavailable: there are no credentials to sign with.
        """
        wishes = _read(body).wishes
        for place, wish in enumerate(wishes):
            if sentence := refusal(wish, attempt, self.prefix):
                raise Forbidden(sentence, field=f"wishes.{place}.key")
        return SignedUrls(urls=await self.storage.sign(wishes))


def _read(body: bytes) -> Wishes:
    try:
        return Wishes.model_validate_json(body)
    except ValidationError as error:
        mistake = violations(error)[0]
        raise InvalidInput(f"{mistake.field} {mistake.message}".strip(), field=mistake.field or "body") from None
