"""What a refusal of the API server means to a REST client: pure, from its Status to our errors."""

import json
from typing import Any

from videojob.refusals import POLICY_SAYS_NO, USER_MAY_NOT
from videojob_api.errors import (
    ApiError,
    ClusterUnavailable,
    InvalidInput,
    JobRejected,
    NameTaken,
    PolicyRefused,
    QuotaExceeded,
    UnknownJob,
)
from videojob_api.spelling import in_snake_case

_REQUEST = "spec.request."
_SPEC = "spec."


def explain(status: int, body: str, name: str = "") -> ApiError:
    """Return the error that stands for a refusal.

    Args:
        status: HTTP status of the API server's answer; 0 = none came.
        body: the answer, normally a Status object.
        name: of the VideoJob the call was about; empty where it was about none in particular.
    """
    refusal = _status_object(body)
    message = str(refusal.get("message", ""))
    match status:
        case 403:
            return _forbidden(message)
        case 404 if name:
            return unknown_job(name)
        case 409 if not name:
            return NameTaken("the service found no free name for the job")
        case 409:
            return ClusterUnavailable("Kubernetes could not write the job just now, for it was being changed")
        case 400 | 422:
            return _invalid(refusal)
    return ClusterUnavailable(f"the Kubernetes API server answers with {status}" if status else "no answer")


def unknown_job(name: str) -> UnknownJob:
    """Return the error for a job id that stands for no job."""
    return UnknownJob(f"there is no job {name[:64]!r}", field="job_id")


def _status_object(body: str) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _forbidden(message: str) -> ApiError:
    _, exceeded, quota = message.partition("exceeded quota: ")
    if exceeded:
        return QuotaExceeded(f"the namespace's quota is used up ({quota}); delete old jobs or wait")
    if USER_MAY_NOT.search(message) and not POLICY_SAYS_NO.search(message):
        return ClusterUnavailable("Kubernetes does not let the service do this; its administrator must grant the right")
    return _rejected(message)


def _rejected(message: str) -> JobRejected:
    refused = PolicyRefused if POLICY_SAYS_NO.search(message) else JobRejected
    return refused(f"the cluster refused the job: {message or 'without a reason'}")


def _invalid(refusal: dict[str, Any]) -> ApiError:
    """Speak of the first cause; the API server knows no nearest value, and policies name no field."""
    causes = (refusal.get("details") or {}).get("causes") or []
    if not causes or not causes[0].get("field"):
        return _rejected(str(refusal.get("message", "")))
    field = in_snake_case(str(causes[0].get("field", "")).removeprefix(_REQUEST).removeprefix(_SPEC))
    return InvalidInput(in_snake_case(f"{field}: {causes[0].get('message', 'is not valid')}"), field=field or None)
