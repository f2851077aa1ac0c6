"""What each request of Kopf passes through.

At the start, and after 410 Gone, Kopf has the API server stream what is there, with a task and a call of the handler an
object. We list it ourselves, page by page, and let the watch go on from there: what was deleted meanwhile is found out
too, and a restart over thousands of objects takes half the time.
"""

import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, cast

import aiohttp

from videojob_operator.errors import OperatorError
from videojob_operator.health import Health
from videojob_operator.lists import Lists
from videojob_operator.manifests import Kind
from videojob_operator.watch_stream import with_errors_as_gone

log = logging.getLogger(__name__)


class _Content:
    """The body of a watch, in which Kopf sees no error that would end it.

    Args:
        body: as it comes.
        watch: names it in the log.
    """

    def __init__(self, body: aiohttp.StreamReader, watch: str) -> None:
        self._body = body
        self._watch = watch

    def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """What Kopf reads by."""
        return with_errors_as_gone(self._body.iter_chunked(size), self._tell)

    def _tell(self, code: int) -> None:
        log.warning(
            "a watch ended with an error; listing again", extra={"error": f"{code} in the watch of {self._watch}"}
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)


class WatchFromOurLists:
    """Has a watch that asks for what is there already ask for what came after our list instead.

    Args:
        lists: are made where there is none yet.
        health: told of each watch, whatever comes of it.
    """

    def __init__(self, lists: Lists, health: Health) -> None:
        self._lists = lists
        self._health = health

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Pass a request on. Of a collection, `…/namespaces/NAMESPACE/PLURAL`, Kopf only asks for watches."""
        *_, parent, namespace, plural = ("", "", *request.url.path.split("/"))
        if parent != "namespaces":
            return await handler(request)
        watch = f"{plural} in {namespace}"
        self._health.watch_tried(watch)
        if "sendInitialEvents" in request.url.query:
            try:
                version = await self._lists.version_to_watch_from(Kind(plural), namespace)
            except OperatorError as error:
                raise aiohttp.ClientConnectionError(str(error)) from error  # Kopf tries again
            bare = request.url.without_query_params("sendInitialEvents", "resourceVersionMatch")
            request.url = bare.update_query(resourceVersion=str(version))
        response = await handler(request)
        if response.status == HTTPStatus.OK:
            response.content = cast("aiohttp.StreamReader", _Content(response.content, watch))
        return response
