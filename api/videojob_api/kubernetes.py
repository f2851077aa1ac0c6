"""The API server: the only module here that talks to it.

Reads go through `store`, which answers from memory what `informer` lists and watches here.

What the API server refuses is told in `refusals`; that it does not answer becomes ClusterUnavailable. Nothing is
repeated here: the client has the better clock for that, and Retry-After tells it when.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from kubernetes.aio import client
from kubernetes.aio.config import ConfigException

from videojob import resource
from videojob_api import __version__
from videojob_api.access.callers import Account
from videojob_api.credentials import load_access
from videojob_api.errors import ClusterUnavailable
from videojob_api.manifests import Manifest
from videojob_api.refusals import explain

CALL_SECONDS = 10.0
PROBE_SECONDS = 1.5
WATCH_SECONDS = 300
"""The API server ends a watch after this long; the next one goes on where it ended."""

SILENCE_SECONDS = 100.0
"""A watch brings a bookmark about every minute. A longer silence means that nobody is there any more."""

_PAGE = 500
_MERGE_PATCH = "application/merge-patch+json"


class WatchExpired(Exception):
    """The API server no longer knows what has changed since then: list again."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some VideoJobs of a full list.

    Attributes:
        version: resourceVersion of the whole list.
        continue_token: gives the next page; None on the last one.
    """

    items: list[Manifest]
    version: str
    continue_token: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """What a watch tells.

    Attributes:
        kind: ADDED, MODIFIED, DELETED or BOOKMARK.
        job: the VideoJob; of a bookmark, only its resourceVersion.
    """

    kind: str
    job: Manifest

    @property
    def version(self) -> str:
        """Where a watch goes on after this."""
        return str(self.job["metadata"]["resourceVersion"])


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

    async def create(self, metadata: Manifest, spec: Manifest) -> Manifest:
        """Create a VideoJob and return it.

        Raises:
            NameTaken: there is one of this name.
        """
        body = {
            "apiVersion": resource.API_VERSION,
            "kind": resource.KIND,
            "metadata": metadata,
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

    async def delete(self, name: str) -> Manifest:
        """Delete a VideoJob; its Job and its pods follow, its video stays in S3.

        Returns:
            A Status where it is gone, the VideoJob where a finalizer still holds it.
        """
        return await _answer(
            self._api.delete_namespaced_custom_object(**self._place, name=name, _request_timeout=CALL_SECONDS), name
        )

    async def pages(self) -> AsyncIterator[Page]:
        """List all VideoJobs as they were at one moment, a page at a time.

        Raises:
            WatchExpired: the pages took so long that the API server no longer knows that moment.
        """
        token: str | None = None
        while True:
            listed = await _answer(
                self._api.list_namespaced_custom_object(
                    **self._place, limit=_PAGE, _continue=token, _request_timeout=CALL_SECONDS
                )
            )
            meta = listed["metadata"]
            token = meta.get("continue") or None
            yield Page(listed["items"], meta["resourceVersion"], token)
            if not token:
                return

    async def watch(self, version: str) -> AsyncIterator[Change | None]:
        """Tell of every change after a version; first None, when the watch stands. Ends now and then.

        Raises:
            WatchExpired: the API server no longer knows that version.
        """
        with _in_our_words():
            answer = await self._api.list_namespaced_custom_object_without_preload_content(
                **self._place,
                watch=True,
                allow_watch_bookmarks=True,
                resource_version=version,
                timeout_seconds=WATCH_SECONDS,
                _request_timeout=WATCH_SECONDS + SILENCE_SECONDS,
            )
            async with _broken_off_at_the_end(answer):
                if answer.status != 200:
                    raise client.ApiException(status=answer.status, body=await answer.text())
                yield None
                async for line in _lines(answer.content):
                    yield _change(line)

    async def probe(self) -> None:
        """Return when the API server answers and lets us list VideoJobs."""
        await _answer(self._api.list_namespaced_custom_object(**self._place, limit=1, _request_timeout=PROBE_SECONDS))


class Reviews:
    """What the API server thinks of others: who they are, and what they may do."""

    def __init__(self, api: client.ApiClient) -> None:
        self._authentication = client.AuthenticationV1Api(api)
        self._authorization = client.AuthorizationV1Api(api)

    async def who(self, token: str, audience: str | None = None) -> Account | None:
        """Return whose token this is, None where it is nobody's.

        Args:
            token: of a caller.
            audience: for which it must be made; None = for the API server.
        """
        audiences = [audience] if audience else None
        review = client.V1TokenReview(spec=client.V1TokenReviewSpec(token=token, audiences=audiences))
        with _in_our_words():
            told = await self._authentication.create_token_review(review, _request_timeout=CALL_SECONDS)
        if not told.status or not told.status.authenticated or not told.status.user:
            return None
        if audience and audience not in (told.status.audiences or ()):
            return None  # an authenticator that knows no audiences says nothing of them
        user = told.status.user
        extra = tuple((word, tuple(values)) for word, values in sorted((user.extra or {}).items()))
        return Account(user.username or "", user.uid or "", tuple(user.groups or ()), extra)

    async def may(self, account: Account, namespace: str, verb: str) -> bool:
        """Tell whether a user may do something to the VideoJobs of a namespace."""
        spec = client.V1SubjectAccessReviewSpec(
            user=account.username,
            uid=account.uid or None,
            groups=list(account.groups),
            extra={word: list(values) for word, values in account.extra},
            resource_attributes=client.V1ResourceAttributes(
                group=resource.GROUP, resource=resource.PLURAL, namespace=namespace, verb=verb
            ),
        )
        review = client.V1SubjectAccessReview(spec=spec)
        with _in_our_words():
            told = await self._authorization.create_subject_access_review(review, _request_timeout=CALL_SECONDS)
        return bool(told.status and told.status.allowed)


class Pods:
    """Pods of any namespace in which the service may read them."""

    def __init__(self, api: client.ApiClient) -> None:
        self._plain: Any = api.sanitize_for_serialization
        self._core = client.CoreV1Api(api)

    async def get(self, namespace: str, name: str) -> Manifest | None:
        """Return a pod as it is now, None where there is none."""
        with _in_our_words():
            try:
                pod = await self._core.read_namespaced_pod(name, namespace, _request_timeout=CALL_SECONDS)
            except client.ApiException as error:
                if error.status == 404:
                    return None
                raise
        plain: Manifest = self._plain(pod)
        return plain


class ApiServer:
    """One API server, asked as the service itself."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api

    @classmethod
    @asynccontextmanager
    async def connect(cls, kubeconfig: str | None) -> AsyncIterator["ApiServer"]:
        """Open the connections; they are made when first needed.

        Raises:
            ConfigurationError: nothing says where the API server is.
        """
        async with client.ApiClient(await load_access(kubeconfig)) as api:
            api.user_agent = f"videojob-api/{__version__}"
            yield cls(api)

    def video_jobs(self, namespace: str) -> VideoJobs:
        """Return the VideoJobs of a namespace."""
        return VideoJobs(self._api, namespace)

    def pods(self) -> Pods:
        """Return its pods."""
        return Pods(self._api)

    def reviews(self) -> Reviews:
        """Return what it thinks of others."""
        return Reviews(self._api)


async def _answer(call: Awaitable[Any], name: str = "") -> Manifest:
    """Await a call."""
    with _in_our_words(name):
        answer: Manifest = await call
    return answer


@contextmanager
def _in_our_words(name: str = "") -> Iterator[None]:
    """Let no exception of the client library pass."""
    try:
        yield
    except client.ApiException as error:
        if error.status == 410:
            raise WatchExpired from error
        raise explain(error.status or 0, error.body or "", name) from error
    except (aiohttp.ClientError, TimeoutError, ConfigException, OSError) as error:
        raise ClusterUnavailable("the Kubernetes API server does not answer") from error


@asynccontextmanager
async def _broken_off_at_the_end(answer: aiohttp.ClientResponse) -> AsyncIterator[None]:
    """Close the connection of an endless answer at once: a TLS farewell might outlive the event loop."""
    try:
        yield
    finally:
        if answer.connection and answer.connection.transport:
            answer.connection.transport.abort()
        answer.close()


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Cut a stream into lines of any length.

    Raises:
        TimeoutError: nothing came for longer than bookmarks take.
    """
    rest = b""
    while True:
        async with asyncio.timeout(SILENCE_SECONDS):
            piece = await content.readany()
        if not piece:
            return
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line


def _change(line: bytes) -> Change:
    told = json.loads(line)
    if told["type"] != "ERROR":
        return Change(told["type"], told["object"])
    status = told["object"]
    if status.get("code") == 410:
        raise WatchExpired
    raise ClusterUnavailable(f"the Kubernetes API server ends the watch with {status.get('code')}")
