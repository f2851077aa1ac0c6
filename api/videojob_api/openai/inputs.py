"""The input image of a video: out of the body, and into S3 under its own checksum.

Stored twice it is stored once, and whoever repeats a request names the same object.
"""

import hashlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

from anyio import to_thread

from videojob.names import input_key
from videojob_api.errors import InvalidInput
from videojob_api.generation import Body
from videojob_api.openai.forms import Form
from videojob_api.openai.images import FIELD, HEAD_BYTES, from_data_url, media_type_of, require_size
from videojob_api.services import Services


@dataclass(frozen=True, slots=True)
class InputImage:
    """An image that came with a request.

    Attributes:
        content: at its beginning.
        uri: where it will be in S3.
        key: the same, inside the bucket.
    """

    content: BinaryIO
    media_type: str
    uri: str
    key: str


async def take_image(form: Form, services: Services) -> tuple[Body, InputImage | None]:
    """Return the body with `image` in the place of `input_reference`, and the image if it came along.

    Raises:
        InvalidInput: it is no image, or not referred to in a way this service knows.
        BodyTooLarge: it is too large.
    """
    body = {name: value for name, value in form.fields.items() if name != FIELD}
    reference = form.fields.get(FIELD)
    if (form.image or reference) and body.get("image") is not None:
        raise InvalidInput(f"{FIELD} says what image says: give one of them", field=FIELD)
    if form.image:
        image = await to_thread.run_sync(_examine, form.image.file, services)
    elif reference is not None:
        url = _url_of(reference)
        if not url.startswith("data:"):
            # To fetch what a client names would make the service its proxy into the cluster's network.
            raise InvalidInput(f"{FIELD}: this service fetches nothing; send the file, or a data: URL", field=FIELD)
        image = await to_thread.run_sync(_examine, BytesIO(from_data_url(url)), services)
    else:
        return body, None
    return {**body, "image": image.uri}, image


async def store_image(image: InputImage, services: Services) -> None:
    """Put an image into S3.

    Raises:
        StorageUnavailable: S3 does not answer, or not to us.
    """
    await services.storage.put(image.key, image.content, image.media_type)


def _examine(content: BinaryIO, services: Services) -> InputImage:
    content.seek(0, 2)
    require_size(content.tell())
    content.seek(0)
    media_type = media_type_of(content.read(HEAD_BYTES))
    content.seek(0)
    sha256 = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
    content.seek(0)
    key = input_key(services.settings.prefix, services.jobs.namespace, sha256)
    return InputImage(content, media_type, f"s3://{services.storage.bucket}/{key}", key)


def _url_of(reference: Any) -> str:
    if isinstance(reference, dict):
        if "file_id" in reference:
            raise InvalidInput(f"{FIELD}: this service keeps no files; send the image, or its image_url", field=FIELD)
        reference = reference.get("image_url")
    if not isinstance(reference, str):
        raise InvalidInput(f'{FIELD} must be a file or {{"image_url": "data:image/png;base64,…"}}', field=FIELD)
    return reference
