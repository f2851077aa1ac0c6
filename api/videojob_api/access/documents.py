"""What the OpenAPI document tells of the gate: how to show who one is, and the answers of those who may not pass."""

from typing import Any

from fastapi import FastAPI

from videojob_api.access.gate import is_open
from videojob_api.failures import can_fail_in_protocol_with, can_fail_with
from videojob_api.openai.errors import speaks_openai
from videojob_api.settings import Authentication

_SCHEME = "bearer"
_DESCRIPTIONS = {
    Authentication.KEYS: "A key of this service.",
    Authentication.KUBERNETES: "A token of the cluster, such as `kubectl create token` makes.",
}
_REFUSALS = (401, 403, 429)

Document = dict[str, Any]


def install(app: FastAPI, authentication: Authentication) -> None:
    """Make the document of an application tell of its gate."""
    draw = app.openapi

    def openapi() -> Document:
        if app.openapi_schema is None:
            document = draw()
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    _complete(path, operation, authentication)
            _tell_scheme(document, authentication)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(path: str, operation: Document, authentication: Authentication) -> None:
    answers = operation["responses"]
    shape = answers.pop("default")["content"]
    if is_open(path):
        operation["security"] = []
        return
    fail = can_fail_in_protocol_with if speaks_openai(path) else can_fail_with
    refusals = _REFUSALS if authentication is not Authentication.NONE else _REFUSALS[1:]
    for status, told in fail(*refusals).items():
        if status != "default":
            answers.setdefault(str(status), {"description": told["description"], "content": shape})


def _tell_scheme(document: Document, authentication: Authentication) -> None:
    if authentication is Authentication.NONE:
        return
    scheme = {"type": "http", "scheme": "bearer", "description": _DESCRIPTIONS[authentication]}
    document.setdefault("components", {})["securitySchemes"] = {_SCHEME: scheme}
    document["security"] = [{_SCHEME: []}]
