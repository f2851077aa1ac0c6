"""The renderer's one door to S3: objects are put, read and deleted whole, by bucket and key.

A refusal is told apart from a storage that is away: only the second is worth another try, and how long to try is the
caller's business. boto3 reads endpoint, keys and region from its own environment variables.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from videojob_renderer.errors import StorageUnavailable

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_CONFIG = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 2})


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
        if _status(error) == 404 and error.operation_name == "GetObject" and not _is_bucket_missing(error):
            raise _Absent from None
        if _is_refusal(error):
            raise StorageUnavailable(f"S3 refused s3://{bucket}/{key}: {error}") from error
        raise StorageAway(str(error)) from error
    except (HTTPClientError, NoConnection) as error:
        raise StorageAway(str(error)) from error
    except BotoCoreError as error:  # no keys, above all
        raise StorageUnavailable(f"S3 cannot be used: {error}") from error


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)


def _is_bucket_missing(error: ClientError) -> bool:
    return error.response.get("Error", {}).get("Code") == "NoSuchBucket"


def _is_refusal(error: ClientError) -> bool:
    return 400 <= _status(error) < 500 and _status(error) not in {408, 429}
