"""The application: routes, the gate before them, error shape and request ids around the services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from videojob_api import __version__, failures, staleness
from videojob_api.access import documents
from videojob_api.access.gate import NAMESPACE_HEADER, GateMiddleware
from videojob_api.idempotency import REPLAYED_HEADER
from videojob_api.metrics import Metrics
from videojob_api.middleware import RequestMiddleware
from videojob_api.routes import (
    broker,
    docs,
    events,
    generate,
    jobs,
    page,
    service,
    status,
    stored_videos,
    video,
    videos,
)
from videojob_api.services import open_services
from videojob_api.settings import Settings

_DESCRIPTION = """\
Turns text into video with CogVideoX on Kubernetes.

`POST /generate` gives a `job_id`; `GET /status/{job_id}` tells where the job stands; `GET /video/{job_id}` is the MP4.
Every error has the shape `{"error": {"code", "message", "field", "nearest", "request_id"}}`, and under `/v1` that of
OpenAI: `{"error": {"message", "type", "param", "code", "nearest"}}`.
"""

_HEADERS_OF_CLIENTS = (
    *("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "If-Range", "Last-Event-ID", "Range"),
    *(NAMESPACE_HEADER, "X-Request-ID", "traceparent"),
)
_HEADERS_FOR_CLIENTS = (
    *("Accept-Ranges", "Content-Disposition", "Content-Range", "ETag", "Retry-After", "X-Request-ID"),
    *(REPLAYED_HEADER, staleness.HEADER, stored_videos.POLL_HEADER),
)
"""Of pages from other hosts, where the settings let them call."""

# Their routes are given to the application flat, the one that is asked most first: a router that is included FastAPI
# goes through twice for every request.
_MODULES = (status, generate, jobs, events, video, videos, stored_videos, service, page, docs, broker)


def create_app(settings: Settings) -> FastAPI:
    """Make the application; it opens its connections when it is started."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as served:
            app.state.served, app.state.gate, app.state.services = served, served.gate, served.default
            metrics.watch(services.jobs for services in served.namespaces.values())
            yield

    app = FastAPI(
        title="videojob",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # see routes.docs
        redoc_url=None,
        redirect_slashes=False,
        routes=[route for module in _MODULES for route in module.router.routes],
    )
    app.state.metrics = metrics
    app.add_middleware(GateMiddleware)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD", "POST", "DELETE"],
            allow_headers=_HEADERS_OF_CLIENTS,
            expose_headers=_HEADERS_FOR_CLIENTS,
        )
    app.add_middleware(RequestMiddleware, metrics=metrics)
    failures.install(app)
    documents.install(app, settings.authentication)
    return app
