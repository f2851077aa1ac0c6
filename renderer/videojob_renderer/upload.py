"""The renderer's one door to S3: files go up whole, under keys that belong to this attempt alone.

A refusal fails at once; a storage that is away is asked again for a while, because the video has cost minutes of a
GPU. boto3 reads endpoint, keys and region from its own environment variables.
"""

import base64
import hashlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from videojob.names import artifact_key
from videojob.status import Artifact
from videojob_renderer.environment import Settings
from videojob_renderer.errors import StorageUnavailable

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_log = logging.getLogger(__name__)

PATIENCE_SECONDS = 120.0
_LONGEST_PAUSE_SECONDS = 15.0
_CONFIG = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 2})


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the files of one attempt go."""

    bucket: str
    prefix: str
    namespace: str
    uid: str
    pod_name: str

    @classmethod
    def of(cls, settings: Settings) -> "Destination":
        """Take it from the settings."""
        return cls(settings.bucket, settings.prefix, settings.namespace, settings.uid, settings.pod_name)

    def key(self, file_name: str) -> str:
        """Return the key of a file."""
        return artifact_key(self.prefix, self.namespace, self.uid, self.pod_name, file_name)


class Uploader:
    """Puts files into S3.

    Args:
        destination: of all files.
        patience_seconds: how long to ask a storage that is away.

    Raises:
        StorageUnavailable: boto3's variables make no sense.
    """

    def __init__(self, destination: Destination, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._destination = destination
        self._patience_seconds = patience_seconds
        self._s3 = _client()

    def upload(self, file: Path, content_type: str) -> Artifact:
        """Upload a file and return what the status says of it.

        Raises:
            StorageUnavailable: S3 refused it, or stayed away.
        """
        body = file.read_bytes()  # a few MB
        digest = hashlib.sha256(body)
        key = self._destination.key(file.name)
        deadline = time.monotonic() + self._patience_seconds
        pause_seconds = 0.5
        while error := self._put(key, body, digest.digest(), content_type):
            if time.monotonic() + pause_seconds > deadline:
                raise StorageUnavailable(f"S3 did not take {file.name} in {self._patience_seconds:.0f} s: {error}")
            _log.warning("S3 is away, trying on", extra={"error": str(error)})
            time.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
        uri = f"s3://{self._destination.bucket}/{key}"
        return Artifact(uri=uri, bytes=len(body), sha256=digest.hexdigest(), content_type=content_type)

    def _put(self, key: str, body: bytes, sha256: bytes, content_type: str) -> Exception | None:
        """Put once; return the error if another try may help."""
        try:
            self._s3.put_object(
                Bucket=self._destination.bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                ChecksumSHA256=base64.b64encode(sha256).decode(),
            )
        except ClientError as error:
            if _is_refusal(error):
                raise StorageUnavailable(f"S3 refused s3://{self._destination.bucket}/{key}: {error}") from error
            return error
        except (HTTPClientError, NoConnection) as error:
            return error
        except BotoCoreError as error:  # no keys, above all
            raise StorageUnavailable(f"S3 cannot be used: {error}") from error
        return None


def _client() -> "S3Client":
    try:
        return boto3.session.Session().client("s3", config=_CONFIG)
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
        raise StorageUnavailable(f"S3 cannot be used: {error}") from error


def _is_refusal(error: ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return 400 <= status < 500 and status not in {408, 429}
