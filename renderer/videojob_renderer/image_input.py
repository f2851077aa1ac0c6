"""The input image of image-to-video: read from S3, checked, upright, RGB.

Users name it, so nothing about it is trusted: only S3 is asked, only what this namespace may have put into the
installation's own bucket is read there, and the header's size is looked at before a pixel is decoded.
"""

import hashlib
import io
import warnings
from dataclasses import dataclass

from PIL import Image, ImageOps, UnidentifiedImageError

from videojob.names import bucket_and_key, image_folders
from videojob_renderer.environment import Settings
from videojob_renderer.errors import InvalidRequest, StorageUnavailable
from videojob_renderer.objects import Objects, ObjectTooLarge, StorageAway
from videojob_renderer.patience import patiently

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_BYTES = 32 * 2**20
MAX_PIXELS = 40_000_000
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class InputImage:
    """An image as the pipeline takes it.

    Attributes:
        pixels: RGB, upright.
        sha256: of the file.
    """

    pixels: Image.Image
    sha256: str


def read_image(
    uri: str, settings: Settings, storage: Objects, patience_seconds: float = PATIENCE_SECONDS
) -> InputImage:
    """Read the input image of a request.

    Raises:
        InvalidRequest: it is not there, is none, or is too large; the text begins with `image`.
        StorageUnavailable: S3 refused to give it, or stayed away.
    """
    bucket, key = _place(uri, settings)
    body = _download(bucket, key, storage, patience_seconds)
    return InputImage(decode(body), hashlib.sha256(body).hexdigest())


def decode(body: bytes) -> Image.Image:
    """Decode an image file: upright whatever its EXIF orientation, RGB, the first frame of an animation.

    Raises:
        InvalidRequest: it is none, or is too large.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of what it takes for a decompression bomb; we look at the size ourselves.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(body), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise _too_many_pixels(f"{image.width}x{image.height} has")
        return ImageOps.exif_transpose(image).convert("RGB")
    except UnidentifiedImageError:
        raise InvalidRequest(f"image: the file is no image that can be read; give {_listed(FORMATS)}") from None
    except Image.DecompressionBombError:
        raise _too_many_pixels("it has") from None
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's decoders raise for damage
        raise InvalidRequest(f"image: the file is damaged: {error}") from None


def _place(uri: str, settings: Settings) -> tuple[str, str]:
    found = bucket_and_key(uri)
    if found is None:
        raise InvalidRequest("image: must be s3://BUCKET/KEY")
    bucket, key = found
    if bucket == settings.bucket:
        _hold_own(key, settings)
    return bucket, key


def _hold_own(key: str, settings: Settings) -> None:
    """Keep a namespace from reading another one's files with the renderer's rights."""
    allowed = image_folders(settings.prefix, settings.namespace)
    if not key.startswith(allowed) or {".", ".."} & set(key.split("/")):
        raise InvalidRequest(
            f"image: in the bucket of the videos, the key must begin with {allowed[0]} or {allowed[1]}"
        )


def _download(bucket: str, key: str, storage: Objects, patience_seconds: float) -> bytes:
    try:
        body = patiently(lambda: storage.get(bucket, key, MAX_BYTES), patience_seconds)
    except ObjectTooLarge as error:
        mib = 2**20
        raise InvalidRequest(
            f"image: the file has {error.bytes / mib:.1f} MiB; at most {MAX_BYTES // mib} are read"
        ) from None
    except StorageAway as error:
        raise StorageUnavailable(f"S3 did not give the input image in {patience_seconds:.0f} s: {error}") from error
    if body is None:
        raise InvalidRequest(f"image: there is no s3://{bucket}/{key}")
    return body


def _too_many_pixels(what: str) -> InvalidRequest:
    return InvalidRequest(f"image: {what} too many pixels; at most {MAX_PIXELS // 1_000_000} million are read")


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
