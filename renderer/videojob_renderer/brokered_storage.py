"""S3 without keys: each request goes by a URL that the API has just signed for it, body included.

The API is asked at the moment of use with the token of this pod, which is read anew each time because the kubelet
rewrites it. A signed URL opens its object to whoever has it, so none is logged.
"""

import hashlib
import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import httpx
from pydantic import ValidationError

from videojob.broker import PATH, TOKEN_FILE, Method, SignedUrl, SignedUrls, Wish, Wishes
from videojob_renderer.errors import StorageUnavailable
from videojob_renderer.objects import ObjectTooLarge, StorageAway, failure, is_absence

_BROKER_SECONDS = 15.0
_S3_TIMEOUT = httpx.Timeout(60, connect=5)

_WORTH_ANOTHER_TRY = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,  # the token has just rotated, or an API of the version before does not know its kind
        HTTPStatus.NOT_FOUND,  # likewise the route: a roll-out is under way
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)


class BrokeredStorage:
    """Objects of the installation's bucket, as far as the API grants them to this pod.

    Args:
        broker_url: of the API.
        token_dir: has the pod's token for it.
        bucket: of this installation.

    Raises:
        StorageUnavailable: a URL or a certificate authority makes no sense.
    """

    def __init__(self, broker_url: str, token_dir: Path, bucket: str) -> None:
        self._bucket = bucket
        self._token_file = token_dir / TOKEN_FILE
        try:
            # Inside the cluster the API is reached directly, whatever HTTPS_PROXY says.
            self._broker = httpx.Client(base_url=broker_url, timeout=_BROKER_SECONDS, trust_env=False)
            self._s3 = httpx.Client(timeout=_S3_TIMEOUT, verify=_trust())
        except (httpx.InvalidURL, OSError) as error:
            raise StorageUnavailable(f"the API cannot be used as a broker of S3: {error}") from error

    def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Store an object whole; S3 checks its sha256 and shows it to readers all at once."""
        digest = hashlib.sha256(body).hexdigest()
        wish = Wish(method=Method.PUT, key=key, bytes=len(body), content_type=content_type, sha256=digest)
        with self._answer(bucket, wish, body) as answer:
            if not answer.is_success:
                raise _failure(answer, bucket, key)

    def get(self, bucket: str, key: str, max_bytes: int) -> bytes | None:
        """Return the content of an object, None where there is none.

        Raises:
            ObjectTooLarge: it has more than `max_bytes`; nothing of it was read.
        """
        with self._answer(bucket, Wish(method=Method.GET, key=key)) as answer:
            if answer.is_success:
                if (size_bytes := int(answer.headers.get("Content-Length", 0))) > max_bytes:
                    raise ObjectTooLarge(size_bytes)
                return answer.read()
            answer.read()
            if is_absence(answer.status_code, _word(answer, "Code")):
                return None
            raise _failure(answer, bucket, key)

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; one that is not there is no error."""
        with self._answer(bucket, Wish(method=Method.DELETE, key=key)) as answer:
            if not answer.is_success and answer.status_code != HTTPStatus.NOT_FOUND:
                raise _failure(answer, bucket, key)

    @contextmanager
    def _answer(self, bucket: str, wish: Wish, body: bytes | None = None) -> Iterator[httpx.Response]:
        """Have one request signed and send it; the body of the answer is still to come."""
        signed = self._signed(bucket, wish)
        headers = {"Accept-Encoding": "identity", **signed.headers}
        try:
            with self._s3.stream(wish.method, signed.url, headers=headers, content=body) as answer:
                yield answer
        except httpx.HTTPError as error:
            raise StorageAway(f"S3 does not answer: {type(error).__name__}: {error}") from error
        except httpx.InvalidURL:
            raise StorageUnavailable("the API signed something that is no URL; what is storage.endpoint?") from None

    def _signed(self, bucket: str, wish: Wish) -> SignedUrl:
        uri = f"s3://{bucket}/{wish.key}"
        if bucket != self._bucket:
            raise StorageUnavailable(
                f"{uri} cannot be reached: this pod has no keys of S3, and the API signs for the bucket {self._bucket} "
                "only; upload the file through the API, or set storage.rendererAccess=secret"
            )
        try:
            headers = {"Authorization": f"Bearer {self._token_file.read_text().strip()}"}
            answer = self._broker.post(PATH, json=Wishes(wishes=(wish,)).dump(), headers=headers)
        except (httpx.HTTPError, OSError) as error:
            raise StorageAway(f"the API does not answer: {type(error).__name__}: {error}") from error
        if answer.is_success:
            return _first(answer)
        words = f"the API answered {answer.status_code} to a wish for {uri}: {_message_of(answer)}"
        if answer.is_server_error or answer.status_code in _WORTH_ANOTHER_TRY:
            raise StorageAway(words)
        raise StorageUnavailable(words)


def _trust() -> ssl.SSLContext | bool:
    """Trust whom boto3 would trust, by its own variables."""
    file = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")
    return ssl.create_default_context(cafile=file) if file else True


def _first(answer: httpx.Response) -> SignedUrl:
    try:
        (signed,) = SignedUrls.model_validate_json(answer.content).urls
    except (ValidationError, ValueError):
        raise StorageUnavailable("the API answered a wish for S3 with something else than one URL") from None
    return signed


def _message_of(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase


def _failure(answer: httpx.Response, bucket: str, key: str) -> StorageUnavailable | StorageAway:
    answer.read()
    code, words = _word(answer, "Code"), _word(answer, "Message") or answer.reason_phrase
    told = f"{words} ({code or answer.status_code})"
    if code == "ExpiredToken":  # the API's own; the next URL is signed with the credentials that it has then
        return StorageAway(told)
    return failure(answer.status_code, code, told, f"s3://{bucket}/{key}")


def _word(answer: httpx.Response, element: str) -> str:
    """Return what an element of S3's XML says; no parser is let near what may come from anywhere."""
    found = re.search(rf"<{element}>([^<]{{0,500}})</{element}>", answer.text)
    return found[1] if found else ""
