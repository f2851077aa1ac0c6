"""A prefix of an S3 bucket as a source, with the renderer's own keys."""

import hashlib
import re
from collections.abc import Iterator
from typing import TypeVar

from videojob_renderer.errors import StorageUnavailable, WeightsUnavailable
from videojob_renderer.models.source import Digest, Listing, RemoteFile, SourceAway, wanted
from videojob_renderer.objects import StorageAway
from videojob_renderer.storage import ObjectStorage

_Item = TypeVar("_Item")

_MD5 = re.compile(r"[0-9a-f]{32}")
"""The ETag of an object that went up in one piece; that of a multipart upload has a dash."""


class BucketSource:
    """All objects below `s3://BUCKET/PREFIX`.

    Args:
        name: the URI.
        storage: reads it.
    """

    revision: str | None = None

    def __init__(self, name: str, storage: ObjectStorage) -> None:
        self.name = name
        self._storage = storage
        self._bucket, _, prefix = name.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def list(self) -> Listing:
        """Say what there is; the version follows from keys, sizes and ETags."""
        objects = sorted(self._told(self._storage.list(self._bucket, self._prefix)), key=lambda found: found.key)
        identity = "\n".join(f"{found.key} {found.bytes} {found.etag}" for found in objects)
        files = (
            RemoteFile(found.key.removeprefix(self._prefix), found.bytes, _digest(found.etag)) for found in objects
        )
        return Listing(hashlib.sha256(identity.encode()).hexdigest()[:40], wanted(files, self.name))

    def read(self, _listing: Listing, file: RemoteFile, offset: int) -> Iterator[bytes]:
        """Yield the bytes of an object from an offset on."""
        yield from self._told(self._storage.read(self._bucket, self._prefix + file.path, offset))

    def _told(self, items: Iterator[_Item]) -> Iterator[_Item]:
        try:
            yield from items
        except StorageAway as error:
            raise SourceAway(f"S3 does not answer: {error}") from error
        except StorageUnavailable as error:
            raise WeightsUnavailable(f"{self.name} cannot be read: {error.message}") from error


def _digest(etag: str) -> Digest | None:
    return Digest("md5", etag) if _MD5.fullmatch(etag) else None
