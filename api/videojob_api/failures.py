"""The one shape of every answer that is not a success."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from videojob.errors import violation
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
    503: "Kubernetes or S3 does not answer; try again after Retry-After seconds.",
}


def can_fail_with(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error answers of a route for the OpenAPI document."""
    told: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorAnswer, "description": _MEANINGS[status]} for status in statuses
    }
    return told | {"default": {"model": ErrorAnswer, "description": "Any other error."}}


def error_response(error: ApiError) -> JSONResponse:
    """Return the answer for an error."""
    return _response(error.http_status, error.headers, error)


def install(app: FastAPI) -> None:
    """Make the application answer all errors in this shape, its framework's own ones too."""
    app.add_exception_handler(ApiError, _of_ours)
    app.add_exception_handler(HTTPException, _of_framework)
    app.add_exception_handler(RequestValidationError, _of_parameters)


def _response(status: int, headers: Mapping[str, str] | None, error: ApiError) -> JSONResponse:
    detail = ErrorDetail(
        code=error.code,
        message=error.message,
        field=error.field,
        nearest=error.nearest,
        request_id=logs.request_id.get(),
    )
    return JSONResponse(ErrorAnswer(error=detail).model_dump(), status, headers)


async def _of_ours(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101 - the type this handler is registered for
    return error_response(error)


async def _of_framework(_request: Request, error: Exception) -> JSONResponse:
    """Answer an unknown path, or a method that a path does not know."""
    assert isinstance(error, HTTPException)  # noqa: S101 - the type this handler is registered for
    phrase = HTTPStatus(error.status_code).phrase
    told = ApiError(f"{phrase}: the routes are listed at /docs", code=phrase.title().replace(" ", ""))
    return _response(error.status_code, error.headers, told)


async def _of_parameters(_request: Request, error: Exception) -> JSONResponse:
    """Answer a query parameter that breaks a rule."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the type this handler is registered for
    broken = violation(error.errors()[0])
    field = broken.field.removeprefix("query.")
    return error_response(InvalidInput(f"{field}: {broken.message}", field=field, nearest=broken.nearest))
