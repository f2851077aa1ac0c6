"""Idempotency-Key: a request that is repeated gives the same job, on any replica and after any failure. Pure.

The key decides the name of the VideoJob, and a name can exist only once: so the API server itself decides which of two
equal requests came first, and no replica needs to remember anything. The digest of the request stands in an annotation
and tells a repetition from another request under the same key. The key itself is stored nowhere.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from videojob_api.errors import InvalidInput

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"
MAX_KEY_LENGTH = 255

_KEY = re.compile(rf"[!-~]{{1,{MAX_KEY_LENGTH}}}", re.ASCII)
_NAME_DIGITS = 32
_SEED_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A request that may be repeated.

    Attributes:
        name: of its VideoJob; of the first, where it asks for several.
        digest: of all that it asks for.
    """

    name: str
    digest: str


def repeatable(headers: Mapping[str, str], namespace: str, asked: Any) -> Repeatable | None:
    """Return what the header makes of a request, None where there is no such header.

    Args:
        headers: of the request.
        namespace: of the VideoJobs; the same key in another namespace is another key.
        asked: JSON values that say all that is asked for, the route included.

    Raises:
        InvalidInput: the key has a form that no key has.
    """
    key = headers.get(HEADER.lower())
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        message = f"{HEADER} must have 1 to {MAX_KEY_LENGTH} visible ASCII characters"
        raise InvalidInput(message, field=HEADER)
    return Repeatable(f"job-{_sha256(f'{namespace}/{key}')[:_NAME_DIGITS]}", _sha256(_canonical(asked)))


def seed_of(name: str) -> int:
    """Return the seed of a batch that names none: drawn by its first job's name, so a repetition draws it again."""
    return int(_sha256(name)[:_SEED_DIGITS], 16)


def _canonical(asked: Any) -> str:
    return json.dumps(asked, sort_keys=True, separators=(",", ":"))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
