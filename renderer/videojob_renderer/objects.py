"""What the renderer asks of its storage, whichever way it reaches it: with keys of its own, or by URLs signed for it.

A refusal is told apart from a storage that is away: only the second is worth another try, and how long to try is the
caller's business.
"""

from typing import Protocol

from videojob_renderer.errors import StorageForbidden, StorageUnavailable

_HINTS = {
    "InvalidAccessKeyId": "the access key of storage is not known there",
    "SignatureDoesNotMatch": "the secret key of storage is not the one of its access key",
    "AccessDenied": "the policy of the bucket or of the keys does not allow it",
    "NoSuchBucket": "is storage.bucket spelled right?",
    "ExpiredToken": "the credentials of the pod have run out",
    "RequestTimeTooSkewed": "the clock of the node is wrong",
}
"""Code of a refusal -> what to look at; `storage` is the chart's value."""


_WORTH_ANOTHER_TRY = frozenset(
    {
        "BadDigest",  # the body was damaged on its way
        "IncompleteBody",
        "OperationAborted",  # another request for the same object or bucket is at work
        "RequestTimeout",  # the body came too slowly
        "SlowDown",
        "Throttling",
        "TooManyRequests",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    }
)
"""Refusals by code that are none: they come with 400, 403 or 409, and say what was so at that moment only."""


class StorageAway(Exception):
    """S3 did not answer, or asked for another try."""


class ObjectTooLarge(Exception):
    """An object has more bytes than the reader wants.

    Attributes:
        bytes: how many.
    """

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"the object has {size_bytes} bytes")
        self.bytes = size_bytes


class Objects(Protocol):
    """Objects by bucket and key.

    All methods raise StorageUnavailable where S3 refused and another try is no use, StorageAway where one may help.
    """

    def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Store an object whole; S3 checks its sha256 and shows it to readers all at once."""

    def get(self, bucket: str, key: str, max_bytes: int) -> bytes | None:
        """Return the content of an object, None where there is none.

        Raises:
            ObjectTooLarge: it has more than `max_bytes`; nothing of it was read.
        """

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; one that is not there is no error."""


def is_absence(status: int, code: str) -> bool:
    """Tell whether the answer to a GET means that there is no such object."""
    return status == 404 and code != "NoSuchBucket"


def failure(status: int, code: str, words: str, uri: str) -> StorageUnavailable | StorageAway:
    """Say what S3 answered, in its own words, and what an administrator can do about it.

    Args:
        status: of HTTP.
        code: S3's word for the error; empty where it gave none.
        words: S3's sentence.
        uri: of the object.
    """
    if not 400 <= status < 500 or status in {408, 429} or code in _WORTH_ANOTHER_TRY:
        return StorageAway(words)
    kind = StorageForbidden if code in {"AccessDenied", "403"} else StorageUnavailable
    hint = _HINTS.get(code)
    return kind(f"S3 refused {uri}: {words}" + (f" - {hint}" if hint else ""))
