"""The one shape of every answer that is not a success."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from videojob.errors import violations
from videojob_api import logs
from videojob_api.answers import ErrorAnswer, ErrorDetail
from videojob_api.errors import ApiError, InvalidInput

_MEANINGS = {
    403: "A policy of the cluster refused the job.",
    404: "There is no such job.",
    409: "The job is not in a state for this; the message says in which it is.",
    410: "The video was removed from S3.",
    413: "The body is too long.",
    416: "The video has no such bytes.",
    422: "The request breaks a rule: see `field` and `nearest`.",
    429: "The quota of jobs is used up.",
    500: "A fault of the service.",
    503: "Kubernetes or S3 does not answer; try again after Retry-After seconds.",
}


def can_fail_with(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error answers of a route for the OpenAPI document."""
    return {status: {"model": ErrorAnswer, "description": _MEANINGS[status]} for status in (*statuses, 500)}


def error_response(error: ApiError) -> JSONResponse:
    """Return the answer for an error."""
    detail = ErrorDetail(
        code=error.code,
        message=error.message,
        field=error.field,
        nearest=error.nearest,
        request_id=logs.request_id.get(),
    )
    return JSONResponse(ErrorAnswer(error=detail).model_dump(), error.http_status, error.headers)


def install(app: FastAPI) -> None:
    """Make the application answer all errors in this shape, its framework's own ones too."""
    app.add_exception_handler(ApiError, _of_ours)
    app.add_exception_handler(HTTPException, _of_framework)
    app.add_exception_handler(RequestValidationError, _of_parameters)


async def _of_ours(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101 - the type a handler is registered for
    return error_response(error)


async def _of_framework(request: Request, error: Exception) -> JSONResponse:
    """Answer an unknown path, or a method that a path does not know."""
    assert isinstance(error, HTTPException)  # noqa: S101 - the type a handler is registered for
    status = HTTPStatus(error.status_code)
    told = ApiError(
        f"{status.phrase}: see /docs for the routes", code=status.phrase.replace(" ", ""), headers=error.headers
    )
    told.http_status = status  # type: ignore[misc]
    return error_response(told)


async def _of_parameters(_request: Request, error: Exception) -> JSONResponse:
    """Answer a query parameter that breaks a rule."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the type a handler is registered for
    return error_response(InvalidInput("x"))
