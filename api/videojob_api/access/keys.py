"""Callers by key: a file, in a pod a mounted Secret, holds a hash of each key, its namespace and its rate.

A key is 256 random bits, so one round of SHA-256 protects it as well as any slow hash would: nobody can try them all.
Every hash is compared, and in constant time: how long it takes tells nothing. The file is read again when it changes;
one that cannot be read changes nothing, for a mistake must lock nobody out who was let in before.
"""

import hashlib
import hmac
import json
import logging
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from videojob.errors import ConfigurationError
from videojob.settings_file import read_settings_file
from videojob_api.access.callers import Caller
from videojob_api.errors import Unauthenticated

log = logging.getLogger(__name__)

LOOKED_AT_SECONDS = 1.0
"""How often at most the file is looked at."""

_PREFIX = "vjk_"
_RANDOM_BYTES = 32
_DNS_LABEL = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"

Label = Annotated[str, StringConstraints(pattern=_DNS_LABEL)]


class Key(BaseModel):
    """One key, as the file tells it."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: Label
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    namespace: Label
    requests_per_minute: int | None = Field(None, alias="requestsPerMinute", ge=0)


class KeyFile(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: tuple[Key, ...]


class _Version(NamedTuple):
    """Changes with the file: a mounted Secret is replaced, not written to."""

    inode: int
    size_bytes: int
    changed: int


class KeyHolders:
    """Lets those in who have a key, each into its namespace."""

    def __init__(
        self,
        path: Path,
        namespaces: Iterable[str],
        requests_per_minute: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the file.

        Args:
            path: of the file.
            namespaces: that are served.
            requests_per_minute: of a key that the file gives no rate of its own; 0 = no limit.
            clock: counts seconds.

        Raises:
            ConfigurationError: the file cannot be used.
        """
        self._path = path
        self._namespaces = frozenset(namespaces)
        self._requests_per_minute = requests_per_minute
        self._clock = clock
        self._looked_at = clock()
        self._version = _version_of(path)
        self._keys = self._read()

    async def admit(self, token: str | None, _address: str) -> Caller:
        """Return whose key this is."""
        self._look_again()
        presented = hash_of(token or "")
        holders = [key for key in self._keys if hmac.compare_digest(key.sha256, presented)]
        if token is None or not holders:
            raise Unauthenticated("no such key" if token else "this service wants a key: Authorization: Bearer KEY")
        (key,) = holders
        rate = self._requests_per_minute if key.requests_per_minute is None else key.requests_per_minute
        return Caller(key.name, rate, key.namespace)

    async def permit(self, caller: Caller, namespace: str, verbs: tuple[str, ...]) -> None:
        """Allow it: a key opens its namespace wholly, and the gate lets it into no other."""

    def _look_again(self) -> None:
        if self._clock() - self._looked_at < LOOKED_AT_SECONDS:
            return
        self._looked_at = self._clock()
        version = _version_of(self._path)
        if version == self._version:
            return
        self._version = version
        try:
            self._keys = self._read()
        except ConfigurationError as error:
            log.error("the new keys cannot be used; the old ones stay", extra={"error": str(error)})  # noqa: TRY400
        else:
            log.info("the keys were read again", extra={"keys": len(self._keys)})

    def _read(self) -> tuple[Key, ...]:
        keys = read_settings_file(self._path, TypeAdapter(KeyFile), "keys").keys
        for key in keys:
            if key.namespace not in self._namespaces:
                raise ConfigurationError(f"keys {self._path}: {key.name}: the namespace {key.namespace} is not served")
        for field in ("name", "sha256"):
            ((value, count),) = Counter(getattr(key, field) for key in keys).most_common(1) or [("", 0)]
            if count > 1:
                raise ConfigurationError(f"keys {self._path}: two keys have the {field} {value}")
        return keys


def _version_of(path: Path) -> _Version | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return _Version(found.st_ino, found.st_size, found.st_mtime_ns)


def hash_of(token: str) -> str:
    """Return the hash of a key."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_key(name: str, namespace: str, requests_per_minute: int | None) -> tuple[str, str]:
    """Draw a key; return it, and its entry for the file as JSON.

    Raises:
        ConfigurationError: no key can be called like this, or no namespace, or the rate is below 0.
    """
    for what, value in (("name", name), ("namespace", namespace)):
        if not re.fullmatch(_DNS_LABEL, value):
            message = f"the {what} must be a DNS label (a-z, 0-9 and -, at most 63 characters), not {value[:80]!r}"
            raise ConfigurationError(message)
    if requests_per_minute is not None and requests_per_minute < 0:
        raise ConfigurationError(f"the requests per minute must be at least 0 (no limit), not {requests_per_minute}")
    key = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    entry = Key(name=name, sha256=hash_of(key), namespace=namespace, requests_per_minute=requests_per_minute)
    return key, json.dumps(entry.model_dump(by_alias=True, exclude_none=True))
