"""REST clients write snake_case, manifests camelCase: the names of the request's fields in both spellings."""

import re

from videojob.request import VideoJobRequest

SNAKE_CASE = {info.alias or name: name for name, info in VideoJobRequest.model_fields.items()}
"""camelCase -> snake_case of the fields of a request."""

_WORD = re.compile(r"[A-Za-z]+")


def in_snake_case(text: str) -> str:
    """Spell all names of request fields in a path or a sentence the REST way."""
    return _WORD.sub(lambda word: SNAKE_CASE.get(word[0], word[0]), text)
