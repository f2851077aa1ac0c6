"""The webhook of a request: which URLs the service accepts. Whether one may be called is for the operator to decide."""

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints, WithJsonSchema

from videojob.errors import rule_broken

_URL = re.compile(r"https?://[^/\s]+(/\S*)?")
_RULE = "must be an http:// or https:// URL without white space, user name or fragment"


def _legal_url(url: str) -> str:
    """Hold the URL to what the manifest allows, and to what can be called."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise rule_broken("", _RULE) from None
    # A user name would be a secret in a manifest; a fragment never reaches the server.
    if not _URL.fullmatch(url) or not parts.hostname or port == 0 or "@" in parts.netloc or "#" in url:
        raise rule_broken("", _RULE)
    return url


def _short_form(wish: Any) -> Any:
    return {"url": wish} if isinstance(wish, str) else wish


class WebhookTarget(BaseModel):
    """Whom to tell."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    url: Annotated[str, StringConstraints(max_length=2048), AfterValidator(_legal_url)]


_URL_SCHEMA = {"type": "string", "format": "uri", "maxLength": 2048, "pattern": _URL.pattern}
_SCHEMA = {
    "anyOf": [
        {"type": "object", "properties": {"url": _URL_SCHEMA}, "required": ["url"], "additionalProperties": False},
        _URL_SCHEMA,
    ]
}

WebhookWish = Annotated[WebhookTarget, BeforeValidator(_short_form), WithJsonSchema(_SCHEMA)]
"""`{"url": "https://…"}`, or the URL alone."""
