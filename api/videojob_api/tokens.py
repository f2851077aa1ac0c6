"""The `continue` of a list: behind which job the next page begins. Any replica reads it, and it never expires."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

from videojob_api.cache import Place
from videojob_api.errors import InvalidInput


def token_of(place: Place) -> str:
    """Return the token for a place."""
    return urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode().rstrip("=")


def place_of(token: str) -> Place:
    """Return the place in a token.

    Raises:
        InvalidInput: there is none in it.
    """
    try:
        place = json.loads(urlsafe_b64decode(token.encode() + b"=" * (-len(token) % 4)))
    except ValueError:
        place = None
    if isinstance(place, list) and len(place) == 2 and all(isinstance(part, str) for part in place):
        return place[0], place[1]
    raise InvalidInput("continue is not a token of this list", field="continue")
