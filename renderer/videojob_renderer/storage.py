"""S3 with keys of the pod's own: objects are put, read, listed and deleted by bucket and key.

boto3 reads endpoint, keys and region from its own environment variables. Listing and reading piece by piece are for
weights, which are no business of the broker.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as NoConnection

from videojob_renderer.errors import StorageUnavailable
from videojob_renderer.objects import ObjectTooLarge, StorageAway, failure, is_absence

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_CHUNK_BYTES = 4 * 2**20
_CONFIG = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 2})


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing.

    Attributes:
        etag: changes with the content; the md5 of an object that was put in one piece.
    """

    key: str
    bytes: int
    etag: str


class ObjectStorage:
    """An S3 client that speaks in our errors.

    Raises:
        StorageUnavailable: boto3's variables make no sense; from the methods: S3 refused, another try is no use.
        StorageAway: from the methods: another try may help.
    """

    def __init__(self) -> None:
        try:
            self._s3: S3Client = boto3.session.Session().client("s3", config=_CONFIG)
        except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
            raise StorageUnavailable(f"S3 cannot be used: {error}") from error

    def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Store an object whole; S3 checks its sha256 and shows it to readers all at once."""
        checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
        with _told(bucket, key):
            self._s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type, ChecksumSHA256=checksum)

    def get(self, bucket: str, key: str, max_bytes: int) -> bytes | None:
        """Return the content of an object, None where there is none.

        Raises:
            ObjectTooLarge: it has more than `max_bytes`; nothing of it was read.
        """
        try:
            with _told(bucket, key):
                answer = self._s3.get_object(Bucket=bucket, Key=key)
                with answer["Body"] as body:
                    if answer["ContentLength"] > max_bytes:
                        raise ObjectTooLarge(answer["ContentLength"])
                    return body.read()
        except _Absent:
            return None

    def list(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose keys begin with a prefix."""
        with _told(bucket, prefix):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    yield StoredObject(entry["Key"], entry["Size"], entry["ETag"].strip('"'))

    def read(self, bucket: str, key: str, offset: int) -> Iterator[bytes]:
        """Yield the content of a large object from an offset on.

        Raises:
            StorageUnavailable: there is no such object, among other refusals.
        """
        try:
            with _told(bucket, key):
                answer = self._s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={offset}-")
                with closing(answer["Body"]) as body:
                    yield from body.iter_chunks(_CHUNK_BYTES)
        except _Absent:
            raise StorageUnavailable(f"there is no s3://{bucket}/{key}") from None

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; one that is not there is no error."""
        with _told(bucket, key):
            self._s3.delete_object(Bucket=bucket, Key=key)


class _Absent(Exception):
    """There is no such object."""


@contextmanager
def _told(bucket: str, key: str) -> Iterator[None]:
    """Translate the errors of one call."""
    try:
        yield
    except ClientError as error:
        if error.operation_name == "GetObject" and is_absence(_status(error), _code(error)):
            raise _Absent from None
        raise failure(_status(error), _code(error), str(error), f"s3://{bucket}/{key}") from error
    except (HTTPClientError, IncompleteReadError, NoConnection) as error:
        raise StorageAway(str(error)) from error
    except BotoCoreError as error:  # no keys, above all
        raise StorageUnavailable(f"S3 cannot be used: {error}") from error


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
