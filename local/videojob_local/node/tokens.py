"""Service account tokens: each bound to one Pod, worthless soon after it is gone, renewed before they expire."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from videojob_local.node.client import ApiClient
from videojob_local.node.errors import ApiError
from videojob_local.node.manifest import Manifest

log = logging.getLogger(__name__)

_DEFAULT_SECONDS = 3600
_LONGEST_PAUSE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Token:
    """A token and its lifetime from now."""

    text: bytes
    seconds: float


class TokenMinter:
    """Asks for tokens as a kubelet does: the API server gives a node tokens of its own Pods only."""

    def __init__(self, api: ApiClient, refresh: float) -> None:
        self._api = api
        self._refresh = refresh

    async def mint(self, pod: Manifest, source: Manifest) -> Token:
        """Return a new token for a serviceAccountToken source.

        Raises:
            ApiError: 403 for a moment after the binding: the authorizer's graph lags behind the node's watch.
        """
        metadata = pod["metadata"]
        account = pod["spec"].get("serviceAccountName", "default")
        spec = {
            "audiences": [source["audience"]] if source.get("audience") else [],
            "expirationSeconds": source.get("expirationSeconds", _DEFAULT_SECONDS),
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]},
        }
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
        status = (await self._api.call("POST", path, request))["status"]
        expires = datetime.fromisoformat(status["expirationTimestamp"])
        return Token(status["token"].encode(), (expires - datetime.now(UTC)).total_seconds())

    async def keep_fresh(self, pod: Manifest, source: Manifest, token: Token, write: Callable[[bytes], None]) -> None:
        """Renew a token for ever, each time well before it expires."""
        while True:
            await asyncio.sleep(token.seconds * self._refresh)
            token = await self._again(pod, source, token)
            write(token.text)

    async def _again(self, pod: Manifest, source: Manifest, old: Token) -> Token:
        pause = min(_LONGEST_PAUSE_SECONDS, old.seconds * (1 - self._refresh) / 10)
        while True:
            try:
                return await self.mint(pod, source)
            except ApiError as error:
                log.warning("token of %s: %s", pod["metadata"]["name"], error)
            await asyncio.sleep(pause)
