"""The bodies of /v1/videos for the OpenAPI document: JSON, and the form that the official clients send."""

from typing import Any

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


_VIDEO = VideoRequest.model_json_schema()

VIDEO_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": _with(_VIDEO, _REFERENCE)},
        "multipart/form-data": {"schema": _with(_VIDEO, _FILE)},
    },
}
REMIX_BODY = {"required": True, "content": {"application/json": {"schema": RemixRequest.model_json_schema()}}}
