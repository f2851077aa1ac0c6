"""Input images: which files the service takes, and how one travels inside JSON. Pure.

What a file is its first bytes say, not its name or the type that a client claims.
"""

import base64
import binascii

from videojob_api.errors import BodyTooLarge, InvalidInput

FIELD = "input_reference"
MAX_IMAGE_BYTES = 8 * 1024 * 1024
"""A PNG of the largest frame that any model renders (1360x768) has about 3 MB."""

HEAD_BYTES = 16

MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp")


def media_type_of(head: bytes) -> str:
    """Return the media type of an image from its first HEAD_BYTES bytes.

    Raises:
        InvalidInput: it is none that a renderer reads.
    """
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    raise InvalidInput(f"{FIELD} must be a PNG, JPEG or WebP image", field=FIELD)


def require_size(size_bytes: int) -> None:
    """Refuse an image that is too large.

    Raises:
        BodyTooLarge: it is.
    """
    if size_bytes > MAX_IMAGE_BYTES:
        raise BodyTooLarge(f"{FIELD} must have at most {MAX_IMAGE_BYTES} bytes", field=FIELD)


def from_data_url(url: str) -> bytes:
    """Return the image in a data URL, such as `data:image/png;base64,iVBOR…`.

    Raises:
        InvalidInput: it holds none.
    """
    head, comma, data = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise InvalidInput(f"{FIELD} must be a base64 data URL: data:image/png;base64,…", field=FIELD)
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput(f"{FIELD} is not valid base64", field=FIELD) from None
