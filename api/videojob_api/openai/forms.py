"""The body of a POST under /v1/videos, JSON or a form, as the JSON object that it stands for.

The official clients always send a form, in which every value is text: numbers are read back by the field's type, an
empty text is a null, and `webhook[url]` is the field `url` of `webhook`. Text must be UTF-8: the parser would read
anything else as Latin-1, and a prompt would not arrive as it was sent. So it is told Latin-1, which loses nothing, and
the decoding is done here.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from videojob_api.bodies import pieces_of, read_bytes
from videojob_api.errors import InvalidInput
from videojob_api.generation import MAX_BODY_BYTES, Body, parse_body
from videojob_api.openai.images import FIELD, MAX_IMAGE_BYTES

_INTEGERS = frozenset({"num_frames", "width", "height", "fps", "steps", "seed", "n"})
_NUMBERS = frozenset({"guidance_scale"})

_MULTIPART = "multipart/form-data"
MAX_FORM_BYTES = MAX_BODY_BYTES + MAX_IMAGE_BYTES * 4 // 3  # an image in base64, which may be a field of a form as well
_MAX_FIELDS = 64
_INTEGER = re.compile(r"-?\d{1,40}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,20})?(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_NESTED = re.compile(r"([^\[\]]+)\[([^\[\]]+)\]")
_CHARSET = re.compile(r";\s*charset=[^;]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Form:
    """A body.

    Attributes:
        fields: all but a file.
        image: the file; None where there is none.
    """

    fields: Body
    image: UploadFile | None = None


@asynccontextmanager
async def opened_form(request: Request) -> AsyncIterator[Form]:
    """Read a body; its file is there until the end of this context.

    Raises:
        InvalidInput: it is neither a JSON object nor a form, or a form with unreadable parts.
        BodyTooLarge: no legal request is that long.
    """
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != _MULTIPART:
        yield Form(parse_body(content_type, await read_bytes(request, MAX_FORM_BYTES)))
        return
    form = await _read_multipart(request, content_type)
    try:
        yield form
    finally:
        if form.image:
            await form.image.close()


async def _read_multipart(request: Request, content_type: str) -> Form:
    parser = MultiPartParser(
        Headers({"content-type": _CHARSET.sub("", content_type) + "; charset=latin-1"}),
        pieces_of(request, MAX_FORM_BYTES),
        max_files=1,
        max_fields=_MAX_FIELDS,
        max_part_size=MAX_FORM_BYTES,
    )
    try:
        items = (await parser.parse()).multi_items()
    except MultiPartException as error:
        raise InvalidInput(f"the body is not a form: {error.message}", field="body") from error
    files = [(name, part) for name, part in items if isinstance(part, UploadFile)]
    try:
        fields = _as_json([(name, part) for name, part in items if isinstance(part, str)])
        return Form(fields, _only_image(files, fields))
    except InvalidInput:
        for _, file in files:
            await file.close()
        raise


def _utf8(latin: str, field: str) -> str:
    try:
        return latin.encode("latin-1").decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"{field} must be UTF-8", field=field) from None


def _only_image(files: list[tuple[str, UploadFile]], fields: Mapping[str, Any]) -> UploadFile | None:
    if not files:
        return None
    ((name, file),) = files
    if name != FIELD:
        raise InvalidInput(f"only {FIELD} may be a file", field=_utf8(name, "body"), nearest=FIELD)
    if FIELD in fields:
        raise InvalidInput(f"{FIELD} is given twice", field=FIELD)
    return file


def _as_json(texts: list[tuple[str, str]]) -> Body:
    fields: Body = {}
    for latin_name, latin_text in texts:
        name = _utf8(latin_name, "body")
        nested = _NESTED.fullmatch(name)
        into: Any = fields.setdefault(nested[1], {}) if nested else fields
        key = nested[2] if nested else name
        if not isinstance(into, dict) or key in into:
            raise InvalidInput(f"{name} is given twice", field=name)
        into[key] = _value(key, _utf8(latin_text, name))
    return fields


def _value(name: str, text: str) -> Any:
    """Read a text as what the field holds; what cannot be read so stays text, and is refused as such."""
    if not text and name != "prompt":
        return None
    if name in _INTEGERS and _INTEGER.fullmatch(text):
        return int(text)
    if name in _NUMBERS and _NUMBER.fullmatch(text):
        return float(text)
    return text
