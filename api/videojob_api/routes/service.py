"""How the service itself is: its load, and the probes of Kubernetes."""

from fastapi import APIRouter

from videojob_api.answers import HealthAnswer, ProbeAnswer
from videojob_api.failures import can_fail_with
from videojob_api.services import ServicesOf

router = APIRouter(tags=["service"])


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
