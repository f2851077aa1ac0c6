"""The VideoJobs of one namespace: the only module here that talks to the API server.

What the API server refuses is told in `refusals`; that it does not answer becomes ClusterUnavailable. Nothing is
repeated here: the client has the better clock for that, and Retry-After tells it when. Tokens of pods are replaced
about once an hour and the old one ends, so a kubeconfig is read again before it can; the library does so by itself for
the service account of a pod.
"""

import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from kubernetes.aio import client, config
from kubernetes.aio.config import ConfigException

from videojob import resource
from videojob.errors import ConfigurationError
from videojob_api import __version__
from videojob_api.errors import ClusterUnavailable
from videojob_api.refusals import explain

CALL_SECONDS = 10.0
PROBE_SECONDS = 1.5
TOKEN_READ_AGAIN_SECONDS = 30.0
_PAGE = 500
_MERGE_PATCH = "application/merge-patch+json"
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Some VideoJobs, in the order of their names.

    Attributes:
        continue_token: gives the next page; None on the last one.
    """

    items: list[Manifest]
    continue_token: str | None


class VideoJobs:
    """The VideoJobs of one namespace.

    Every method raises an ApiError: ClusterUnavailable, or what `refusals.explain` makes of a refusal.
    """

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self._api = client.CustomObjectsApi(api)
        self.namespace = namespace
        self._place: dict[str, Any] = {
            "group": resource.GROUP,
            "version": resource.VERSION,
            "namespace": namespace,
            "plural": resource.PLURAL,
        }

    @classmethod
    @asynccontextmanager
    async def connect(cls, kubeconfig: str | None, namespace: str) -> AsyncIterator["VideoJobs"]:
        """Open the connections; they are made when first needed.

        Raises:
            ConfigurationError: nothing says where the API server is.
        """
        async with client.ApiClient(await load_access(kubeconfig)) as api:
            api.user_agent = f"videojob-api/{__version__}"
            yield cls(api, namespace)

    async def create(self, name: str, spec: Manifest) -> Manifest:
        """Create a VideoJob and return it.

        Raises:
            NameTaken: there is one of this name.
        """
        body = {
            "apiVersion": resource.API_VERSION,
            "kind": resource.KIND,
            "metadata": {"name": name},
            "spec": spec,
        }
        return await _answer(
            self._api.create_namespaced_custom_object(**self._place, body=body, _request_timeout=CALL_SECONDS)
        )

    async def get(self, name: str) -> Manifest:
        """Return a VideoJob."""
        return await _answer(
            self._api.get_namespaced_custom_object(**self._place, name=name, _request_timeout=CALL_SECONDS), name
        )

    async def cancel(self, name: str) -> Manifest:
        """Set spec.cancel and return the VideoJob."""
        return await _answer(
            self._api.patch_namespaced_custom_object(
                **self._place,
                name=name,
                body={"spec": {"cancel": True}},
                _content_type=_MERGE_PATCH,
                _request_timeout=CALL_SECONDS,
            ),
            name,
        )

    async def delete(self, name: str) -> None:
        """Delete a VideoJob; its Job and its pods follow, its video stays in S3."""
        await _answer(
            self._api.delete_namespaced_custom_object(**self._place, name=name, _request_timeout=CALL_SECONDS), name
        )

    async def page(self, *, fields: str, limit: int, continue_token: str | None = None) -> Page:
        """Return at most `limit` VideoJobs that a field selector chooses."""
        return _page(
            await _answer(
                self._api.list_namespaced_custom_object(
                    **self._place,
                    field_selector=fields,
                    limit=limit,
                    _continue=continue_token,
                    _request_timeout=CALL_SECONDS,
                )
            )
        )

    async def all(self, *, fields: str) -> list[Manifest]:
        """Return all VideoJobs that a field selector chooses."""
        page = await self.page(fields=fields, limit=_PAGE)
        items = page.items
        while page.continue_token:
            page = await self.page(fields=fields, limit=_PAGE, continue_token=page.continue_token)
            items = items + page.items
        return items

    async def count(self, *, fields: str) -> int:
        """Count the VideoJobs that a field selector chooses; only their metadata travels.

        The API server counts only lists without a selector (remainingItemCount), so they must be listed.
        """
        number, token = 0, None
        while True:
            page = _page(
                await _answer(
                    self._api.list_namespaced_custom_object(
                        **self._place,
                        field_selector=fields,
                        limit=_PAGE,
                        _continue=token,
                        _headers={"Accept": _METADATA_ONLY},
                        _request_timeout=CALL_SECONDS,
                    )
                )
            )
            number, token = number + len(page.items), page.continue_token
            if not token:
                return number

    async def probe(self) -> None:
        """Return when the API server answers and lets us list VideoJobs."""
        await _answer(self._api.list_namespaced_custom_object(**self._place, limit=1, _request_timeout=PROBE_SECONDS))


def _page(listed: Manifest) -> Page:
    # Where there are none, a list of metadata alone says null.
    return Page(listed["items"] or [], listed["metadata"].get("continue") or None)


async def _answer(call: Awaitable[Any], name: str = "") -> Manifest:
    """Await a call; what the client library raises stops here."""
    try:
        answer: Manifest = await call
    except client.ApiException as error:
        raise explain(error.status or 0, error.body or "", name) from error
    except (aiohttp.ClientError, TimeoutError, ConfigException, OSError) as error:
        raise ClusterUnavailable("the Kubernetes API server does not answer") from error
    return answer


async def load_access(kubeconfig: str | None) -> client.Configuration:
    """Return the address, the trust and the credentials of the API server.

    Raises:
        ConfigurationError: there are none, or they are not readable.
    """
    access = client.Configuration()
    where = f"kubeconfig {kubeconfig}" if kubeconfig else "service account of this pod"
    try:
        if kubeconfig:
            _require_file(Path(kubeconfig))
            await _load_kubeconfig(access, kubeconfig)
        else:
            config.load_incluster_config(client_configuration=access)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError, yaml.YAMLError, AttributeError, TypeError) as error:
        raise ConfigurationError(f"{where}: {_first_line(error)}") from error
    return access


def _require_file(path: Path) -> None:
    """Raise what is wrong with a file; the library would only log that it is missing."""
    path.read_bytes()


def _first_line(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) else str(error)
    return (text or "is not usable").splitlines()[0]


async def _load_kubeconfig(access: client.Configuration, path: str) -> None:
    async def read(access: client.Configuration) -> None:
        await config.load_kube_config(path, client_configuration=access, persist_config=False)  # type: ignore[no-untyped-call]

    await read(access)
    read_at = time.monotonic()

    async def read_again(access: client.Configuration) -> None:
        nonlocal read_at
        if time.monotonic() - read_at >= TOKEN_READ_AGAIN_SECONDS:
            await read(access)
            read_at = time.monotonic()

    access.refresh_api_key_hook = read_again  # type: ignore[assignment]
