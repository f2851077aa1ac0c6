"""Routes that clients poll: they take the id of a job and the services, and give a whole answer.

FastAPI finds out for every request what a route wants, checks it, and checks and writes what the route returns; that
takes longer than the answer itself. Here it is known beforehand, so the route is called with it straight away. What a
route declares stands in the OpenAPI document as ever.
"""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from videojob_api.routes.ids import JobId, legal_id
from videojob_api.services import ServicesOf, services_of

_WANTED = [JobId, ServicesOf]


class DirectRoute(APIRoute):
    """A route with one parameter in its path, the id of a job, and `ServicesOf`.

    Raises:
        TypeError: the route wants anything else, which it would not get.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer = self.endpoint
        if [each.annotation for each in inspect.signature(answer).parameters.values()] != _WANTED:
            raise TypeError(f"{self.path}: a direct route takes a JobId and ServicesOf, in this order")

        async def handle(request: Request) -> Response:
            (job_id,) = request.path_params.values()
            response: Response = await answer(legal_id(job_id), services_of(request))
            return response

        return handle
