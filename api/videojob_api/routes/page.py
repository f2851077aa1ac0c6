"""The page at `/`: files of this package, with no build step, nothing from other hosts and no script in the HTML."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import PurePath

from fastapi import APIRouter, HTTPException, Request, Response

from videojob_api.errors import StorageUnavailable
from videojob_api.failures import can_fail_with
from videojob_api.models import Offer, offer_of
from videojob_api.ranges import is_unchanged
from videojob_api.services import Services, ServicesOf
from videojob_api.settings import Delivery

router = APIRouter(tags=["page"])

_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# blob: a file that was fetched with a key, or that is to be sent. {s3}: where downloads are redirected to, if they are.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:{s3}; media-src 'self' blob:{s3}; "
    "connect-src 'self'{s3}; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of the page."""

    content: bytes
    media_type: str
    etag: str


@cache
def page_files() -> dict[str, PageFile]:
    """Read all files of the page."""
    return {file.name: read_file(file) for file in resources.files("videojob_api").joinpath("page").iterdir()}


def read_file(file: Traversable) -> PageFile:
    """Read a file; its version is a part of its hash."""
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return PageFile(content, _MEDIA_TYPES[PurePath(file.name).suffix], f'"{digest[:20]}"')


@router.get("/models", responses=can_fail_with())
async def models(services: ServicesOf) -> Offer:
    """Tell which models there are, with their legal values and defaults."""
    return offer_of(services.settings.catalogue)


@router.get("/", include_in_schema=False)
async def index(request: Request, services: ServicesOf) -> Response:
    """Give the page."""
    return answer_with(page_files().get("index.html"), request, _POLICY.format(s3=_origin_of_files(services)))


@router.get("/page/{name}", include_in_schema=False)
async def part(name: str, request: Request) -> Response:
    """Give a part of the page."""
    return answer_with(page_files().get(name), request, _POLICY.format(s3=""))


def _origin_of_files(services: Services) -> str:
    """Return the origin of presigned URLs, where there are any: a policy holds for what is redirected, too."""
    if services.settings.delivery is not Delivery.REDIRECT:
        return ""
    try:
        return f" {services.storage.public_origin()}"
    except StorageUnavailable:
        return ""  # then there is nothing to play either


def answer_with(file: PageFile | None, request: Request, policy: str) -> Response:
    """Return a file, or that the client has it already.

    Raises:
        HTTPException: there is none.
    """
    if file is None:
        raise HTTPException(404)
    headers = {"ETag": file.etag, "Cache-Control": "no-cache", "Content-Security-Policy": policy}
    if is_unchanged(request.headers, file.etag):
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
