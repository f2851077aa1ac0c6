"""/docs: Swagger, to try the routes in a browser. Its files come with a package; no other host is asked."""

from functools import cache
from importlib import resources

from fastapi import APIRouter, Request, Response

from videojob_api.routes.page import PageFile, answer_with, page_files, read_file

router = APIRouter()

_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")
# Swagger writes styles into its elements, and holds its icons in its style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


@cache
def swagger_files() -> dict[str, PageFile]:
    """Read the files of Swagger."""
    folder = resources.files("fastapi_offline").joinpath("static")
    return {name: read_file(folder.joinpath(name)) for name in _FILES}


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """Give the page."""
    return answer_with(page_files()["swagger.html"], request, _POLICY)


@router.get("/docs/{name}", include_in_schema=False)
async def part(name: str, request: Request) -> Response:
    """Give a part of it."""
    return answer_with(swagger_files().get(name), request, _POLICY)
