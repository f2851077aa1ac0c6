"""How the service itself is: its load, the probes of Kubernetes, and what Prometheus asks."""

from typing import Any

from fastapi import APIRouter, Request, Response

from videojob_api.answers import HealthAnswer, ProbeAnswer
from videojob_api.failures import can_fail_with
from videojob_api.metrics import CONTENT_TYPE, Metrics
from videojob_api.services import ServicesOf

router = APIRouter(tags=["service"])

_METRICS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/plain": {"schema": {"type": "string"}}},
        "description": "Requests by route and status, their times, jobs by phase; in Prometheus' text format.",
    }
}


@router.get("/health", responses=can_fail_with(503))
async def health(services: ServicesOf) -> HealthAnswer:
    """Tell how busy the service is, in numbers at most two seconds old."""
    return await services.health.latest()


@router.get("/healthz", responses=can_fail_with())
async def alive() -> ProbeAnswer:
    """Tell that the process answers."""
    return ProbeAnswer()


@router.get("/readyz", responses=can_fail_with(503))
async def ready(services: ServicesOf) -> ProbeAnswer:
    """Tell whether Kubernetes and S3 have answered since the start.

    A later outage does not take the service away: what works without the missing part goes on, the rest is 503.
    """
    await services.readiness.confirm()
    return ProbeAnswer()


@router.get("/metrics", response_class=Response, responses=_METRICS | can_fail_with())
async def measures(request: Request) -> Response:
    """Tell Prometheus what this replica has done. Nothing names a job, a caller or a namespace."""
    metrics: Metrics = request.app.state.metrics
    return Response(metrics.render(), media_type=CONTENT_TYPE)
