"""The application: routes, error shape and request ids around the services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from videojob_api import __version__, failures
from videojob_api.middleware import RequestMiddleware
from videojob_api.routes import events, generate, jobs, page, service, stored_videos, video, videos
from videojob_api.services import open_services
from videojob_api.settings import Settings

_DESCRIPTION = """\
Turns text into video with CogVideoX on Kubernetes.

`POST /generate` gives a `job_id`; `GET /status/{job_id}` tells where the job stands; `GET /video/{job_id}` is the MP4.
Every error has the shape `{"error": {"code", "message", "field", "nearest", "request_id"}}`.
"""


def create_app(settings: Settings) -> FastAPI:
    """Make the application; it opens its connections when it is started."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as app.state.services:
            yield

    app = FastAPI(
        title="videojob",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(RequestMiddleware)
    failures.install(app)
    for module in (generate, jobs, events, video, videos, stored_videos, service, page):
        app.include_router(module.router)
    return app
