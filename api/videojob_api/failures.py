"""The one shape of every answer that is not a success; under /v1 it is the shape of the OpenAI protocol."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from videojob.errors import violation
from videojob_api import logs
from videojob_api.answers import Answer, ErrorAnswer, ErrorDetail
from videojob_api.errors import ApiError, InvalidInput
from videojob_api.openai.answers import ProtocolErrorAnswer
from videojob_api.openai.errors import body_of_error, headers_of_error, speaks_openai, status_of_error

_MEANINGS = {
    400: "The request breaks a rule: see `param` and `nearest`.",
    401: "The service wants a key or a token, and this is none.",
    403: "The caller may not do this, or the cluster refused the job.",
    404: "There is no such job.",
    409: "The job is not in a state for this; the message says in which it is.",
    410: "The video was removed from S3.",
    413: "The body is too long.",
    416: "The video has no such bytes.",
    422: "The request breaks a rule: see `field` and `nearest`.",
    429: "The caller calls too often, or the quota of jobs is used up; try again after Retry-After seconds.",
    503: "Kubernetes or S3 does not answer; try again after Retry-After seconds.",
}

_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


def can_fail_with(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error answers of a route for the OpenAPI document."""
    return _documented(ErrorAnswer, statuses)


def can_fail_in_protocol_with(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error answers of a route under /v1 for the OpenAPI document."""
    return _documented(ProtocolErrorAnswer, statuses)


def error_response(error: ApiError, path: str) -> JSONResponse:
    """Return the answer for an error on a path."""
    return _response(path, error.http_status, error.headers, error)


def install(app: FastAPI) -> None:
    """Make the application answer all errors in this shape, its framework's own ones too."""
    app.add_exception_handler(ApiError, _of_ours)
    app.add_exception_handler(HTTPException, _of_framework)
    app.add_exception_handler(RequestValidationError, _of_parameters)


def _documented(model: type[Answer], statuses: tuple[int, ...]) -> dict[int | str, dict[str, Any]]:
    answers: dict[int | str, dict[str, Any]] = {
        status: {"model": model, "description": _MEANINGS[status]} for status in statuses
    }
    # Without a default FastAPI would tell of errors of its own; `access.documents` takes it out again.
    return answers | {"default": {"model": model, "description": "Any other error."}}


def _response(path: str, status: int, headers: Mapping[str, str] | None, error: ApiError) -> JSONResponse:
    if speaks_openai(path):
        status = status_of_error(status)
        body: Answer = body_of_error(error, status)
        headers = {**(headers or {}), **headers_of_error(status)}
    else:
        body = _our_body(error)
    return JSONResponse(body.model_dump(), status, headers)


def _our_body(error: ApiError) -> ErrorAnswer:
    detail = ErrorDetail(
        code=error.code,
        message=error.message,
        field=error.field,
        nearest=error.nearest,
        request_id=logs.request_id.get(),
    )
    return ErrorAnswer(error=detail)


async def _of_ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101 - the type this handler is registered for
    return error_response(error, request.url.path)


async def _of_framework(request: Request, error: Exception) -> JSONResponse:
    """Answer an unknown path, or a method that a path does not know."""
    assert isinstance(error, HTTPException)  # noqa: S101 - the type this handler is registered for
    phrase = HTTPStatus(error.status_code).phrase
    told = ApiError(f"{phrase}: the routes are listed at /docs", code=phrase.title().replace(" ", ""))
    headers = {"Allow": _allowed_methods(request)} if error.status_code == 405 else error.headers
    return _response(request.url.path, error.status_code, headers, told)


def _allowed_methods(request: Request) -> str:
    """Return what a path knows; the framework names the methods of one route, and some paths have two."""
    tried = [{**request.scope, "method": method} for method in _METHODS]
    return ", ".join(
        each["method"] for each in tried if any(route.matches(each)[0] is Match.FULL for route in request.app.routes)
    )


async def _of_parameters(request: Request, error: Exception) -> JSONResponse:
    """Answer a query parameter that breaks a rule."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the type this handler is registered for
    broken = violation(error.errors()[0])
    field = broken.field.removeprefix("query.")
    told = InvalidInput(f"{field}: {broken.message}", field=field, nearest=broken.nearest)
    return error_response(told, request.url.path)
