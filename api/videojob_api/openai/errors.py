"""Our errors in the shape, and with the statuses, that OpenAI's clients expect. Pure.

The clients repeat a request on 409 unless they are told not to: here a 409 is an answer, not an accident.
"""

from collections.abc import Mapping

from videojob_api.errors import ApiError
from videojob_api.openai.answers import ProtocolErrorAnswer, ProtocolErrorDetail

ROOT = "/v1/"

_INVALID = "invalid_request_error"
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def speaks_openai(path: str) -> bool:
    """Tell whether a path belongs to the protocol."""
    return path.startswith(ROOT)


def status_of_error(http_status: int) -> int:
    """Return the status of the answer: the protocol calls every wrong request 400."""
    return 400 if http_status == 422 else http_status


def body_of_error(error: ApiError, http_status: int) -> ProtocolErrorAnswer:
    """Return the body of the answer."""
    kind = "server_error" if http_status >= 500 else _TYPES.get(http_status, _INVALID)
    field = "video_id" if error.field == "job_id" else error.field
    detail = ProtocolErrorDetail(message=error.message, type=kind, param=field, code=error.code, nearest=error.nearest)
    return ProtocolErrorAnswer(error=detail)


def headers_of_error(http_status: int) -> Mapping[str, str]:
    """Return the headers that keep a client from asking the same again."""
    return {"x-should-retry": "false"} if http_status == 409 else {}
