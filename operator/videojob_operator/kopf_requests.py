"""What each request of Kopf passes through.

At the start, and after 410 Gone, Kopf has the API server stream what is there, with a task and a call of the handler an
object. We list it ourselves, page by page, and let the watch go on from there: what was deleted meanwhile is found out
too, and a restart over thousands of objects takes half the time.
"""

import aiohttp

from videojob_operator.errors import OperatorError
from videojob_operator.health import Health
from videojob_operator.lists import Lists
from videojob_operator.manifests import Kind


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
        if parent == "namespaces":
            self._health.watch_tried(f"{plural} in {namespace}")
            if "sendInitialEvents" in request.url.query:
                try:
                    version = await self._lists.version_to_watch_from(Kind(plural), namespace)
                except OperatorError as error:
                    raise aiohttp.ClientConnectionError(str(error)) from error  # Kopf tries again
                bare = request.url.without_query_params("sendInitialEvents", "resourceVersionMatch")
                request.url = bare.update_query(resourceVersion=str(version))
        return await handler(request)
