"""Videos and input images in S3: the only module here that talks to it.

boto3 is synchronous, so every call runs in a thread; a video passes in pieces, so its size costs no memory, and a slow
client holds a connection but no thread.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

import boto3
from anyio import to_thread
from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError

from videojob.broker import URL_SECONDS, Method, SignedUrl, Wish
from videojob.errors import ConfigurationError
from videojob_api.errors import StorageUnavailable, VideoGone
from videojob_api.ranges import Span

if TYPE_CHECKING:  # stubs are for developers only
    from types_boto3_s3 import S3Client

PIECE_BYTES = 64 * 1024
"""A download holds one of them, and the server's write buffer another."""

PROBE_SECONDS = 1.5
_CONNECT_SECONDS = 3
_READ_SECONDS = 15
_CONNECTIONS = 128
_ABSENT = {"404", "NoSuchKey", "NotFound"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One object in S3, as it is now."""

    key: str
    size_bytes: int
    etag: str


class Storage:
    """One bucket."""

    def __init__(self, bucket: str, endpoint: str | None, public_endpoint: str | None = None) -> None:
        """Make the clients; connections are opened when first needed.

        Args:
            bucket: of the videos.
            endpoint: URL of an S3 server other than AWS's, which is asked in path style: its host name has no
                subdomain for every bucket.
            public_endpoint: under which URL clients of the service reach that server; None = under the same.

        Raises:
            ConfigurationError: boto3 cannot make sense of its settings.
        """
        self.bucket = bucket
        self._s3 = _client(endpoint)
        self._signer = _client(public_endpoint) if public_endpoint else self._s3
        self._public_origin: str | None = None

    async def find(self, key: str) -> StoredFile:
        """Return what S3 knows of a video.

        Raises:
            VideoGone: it is not there.
            StorageUnavailable: S3 does not answer, or not to us.
        """
        head = await _in_thread(lambda: self._s3.head_object(Bucket=self.bucket, Key=key))
        return StoredFile(key, head["ContentLength"], head["ETag"])

    async def read(self, file: StoredFile, span: Span | None) -> AsyncIterator[bytes]:
        """Open a video, or a part of it, and return its bytes in pieces; the very version that `find` saw.

        Raises:
            VideoGone: it is not there.
            StorageUnavailable: S3 does not answer, or not to us.
        """
        part: dict[str, Any] = {"Range": f"bytes={span.first}-{span.last}"} if span else {}
        answer = await _in_thread(
            lambda: self._s3.get_object(Bucket=self.bucket, Key=file.key, IfMatch=file.etag, **part)
        )
        body = answer["Body"]

        async def pieces() -> AsyncIterator[bytes]:
            try:
                while piece := await to_thread.run_sync(body.read, PIECE_BYTES):
                    yield piece
            finally:
                body.close()

        return pieces()

    async def put(self, key: str, content: BinaryIO, content_type: str) -> None:
        """Store a file, which is read from its present position.

        Raises:
            StorageUnavailable: S3 does not answer, or not to us.
        """
        await _in_thread(
            lambda: self._s3.put_object(Bucket=self.bucket, Key=key, Body=content, ContentType=content_type)
        )

    def presigned_url(self, key: str, seconds: int, content_type: str, disposition: str) -> str:
        """Return a URL that gives a file to whoever has it, for so many seconds. Asks nobody.

        Raises:
            StorageUnavailable: there are no credentials to sign with.
        """
        parameters = {
            "Bucket": self.bucket,
            "Key": key,
            "ResponseContentType": content_type,
            "ResponseContentDisposition": disposition,
        }
        return _signed_url(self._signer, "get_object", parameters, seconds)

    def public_origin(self) -> str:
        """Return the origin of presigned URLs, which depends on bucket and endpoint alone: found out once.

        Raises:
            StorageUnavailable: there are no credentials to sign with.
        """
        if self._public_origin is None:
            url = urlsplit(self.presigned_url("any", 1, "video/mp4", "inline"))
            self._public_origin = f"{url.scheme}://{url.netloc}"
        return self._public_origin

    async def sign(self, wishes: Iterable[Wish]) -> tuple[SignedUrl, ...]:
        """Return for each wish a URL that is good for this very request, body included. Asks nobody but for keys.

        Raises:
            StorageUnavailable: there are no credentials to sign with.
        """
        return await _in_thread(lambda: tuple(self._signed(wish) for wish in wishes))

    def _signed(self, wish: Wish) -> SignedUrl:
        parameters: dict[str, Any] = {"Bucket": self.bucket, "Key": wish.key}
        headers = {}
        if wish.method is Method.PUT:
            checksum = base64.b64encode(bytes.fromhex(wish.sha256 or "")).decode()
            parameters |= {"ContentType": wish.content_type, "ContentLength": wish.bytes, "ChecksumSHA256": checksum}
            headers = {
                "Content-Type": str(wish.content_type),
                "Content-Length": str(wish.bytes),
                "x-amz-checksum-sha256": checksum,
            }
        operation = f"{wish.method.lower()}_object"
        # Not the signer of `presigned_url`: renderers reach S3 where the service does.
        return SignedUrl(url=_signed_url(self._s3, operation, parameters, URL_SECONDS), headers=headers)

    async def probe(self) -> None:
        """Return when the bucket answers.

        Raises:
            StorageUnavailable: it does not.
        """
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await _in_thread(lambda: self._s3.head_bucket(Bucket=self.bucket))
        except TimeoutError as error:
            raise StorageUnavailable("S3 does not answer") from error
        except VideoGone as error:
            raise StorageUnavailable(f"there is no bucket {self.bucket!r}") from error

    def close(self) -> None:
        """Close all connections."""
        self._s3.close()
        self._signer.close()


def _client(endpoint: str | None) -> "S3Client":
    options = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=_CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": 2},
        signature_version="s3v4",
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    try:
        return boto3.Session().client("s3", endpoint_url=endpoint, config=options)
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(f"S3: {error}") from error


def _signed_url(signer: "S3Client", operation: str, parameters: dict[str, Any], seconds: int) -> str:
    try:
        return str(signer.generate_presigned_url(operation, Params=parameters, ExpiresIn=seconds))
    except BotoCoreError as error:
        raise StorageUnavailable("the service has no credentials to sign with") from error


def key_of(uri: str, bucket: str, folder: str) -> str | None:
    """Return the key in an artifact's URI, or None where it is not one of this bucket and folder.

    The URI was written by a renderer, which must not be able to name the video of another job.
    """
    parts = urlsplit(uri)
    key = parts.path.removeprefix("/")
    inside = parts.scheme == "s3" and parts.netloc == bucket and key.startswith(f"{folder}/")
    return key if inside and not {"", ".", ".."} & set(key.split("/")) else None


async def _in_thread(call: Callable[[], T]) -> T:
    """Run a call of boto3 in a thread; what boto3 raises stops here."""
    try:
        return await to_thread.run_sync(call, abandon_on_cancel=True)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _ABSENT:
            raise VideoGone("the file is no longer in S3") from error
        raise StorageUnavailable(f"S3 refuses the service's request ({code})") from error
    except (BotoCoreError, OSError) as error:
        raise StorageUnavailable("S3 does not answer") from error
