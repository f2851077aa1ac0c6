"""The bodies under /v1/videos for the OpenAPI document: JSON, and the form that the official clients send."""

from typing import Any

from videojob_api.generation import GenerateRequest
from videojob_api.openai.images import FIELD, MAX_IMAGE_BYTES
from videojob_api.openai.requests import RemixRequest, VideoRequest

_FILE = {
    "type": "string",
    "format": "binary",
    "description": f"PNG, JPEG or WebP of at most {MAX_IMAGE_BYTES} bytes, for image-to-video models.",
}
_REFERENCE = {
    "type": "object",
    "description": "For image-to-video models.",
    "properties": {"image_url": {"type": "string", "description": "data:image/png;base64,…"}},
    "required": ["image_url"],
    "additionalProperties": False,
}


def _with(schema: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "properties": {**schema["properties"], FIELD: field}}


def _body_of(request: type[GenerateRequest]) -> dict[str, Any]:
    schema = request.model_json_schema()
    return {
        "required": True,
        "content": {
            "application/json": {"schema": _with(schema, _REFERENCE)},
            "multipart/form-data": {"schema": _with(schema, _FILE)},
        },
    }


VIDEO_BODY = _body_of(VideoRequest)
REMIX_BODY = _body_of(RemixRequest)
