"""Which answers of S3 are worth another try, and which are refusals."""

import httpx
import pytest

from videojob_renderer.brokered_storage import _failure
from videojob_renderer.errors import StorageForbidden, StorageUnavailable
from videojob_renderer.objects import StorageAway, failure

URI = "s3://videos/one"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "BadDigest"),
        (400, "RequestTimeout"),
        (400, "XAmzContentChecksumMismatch"),
        (403, "Throttling"),
        (408, ""),
        (409, "OperationAborted"),
        (429, ""),
        (500, "InternalError"),
        (503, "SlowDown"),
    ],
)
def test_what_is_so_at_this_moment_only_is_worth_another_try(status: int, code: str) -> None:
    assert isinstance(failure(status, code, "told by the test", URI), StorageAway)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "InvalidArgument"),
        (400, "ExpiredToken"),
        (403, "InvalidAccessKeyId"),
        (403, "SignatureDoesNotMatch"),
        (404, "NoSuchBucket"),
        (409, "BucketAlreadyExists"),
    ],
)
def test_what_would_be_refused_again_is_told_at_once(status: int, code: str) -> None:
    refusal = failure(status, code, "told by the test", URI)
    assert isinstance(refusal, StorageUnavailable)
    assert refusal.message.startswith(f"S3 refused {URI}: told by the test")


def test_keys_that_may_not_are_told_apart() -> None:
    assert isinstance(failure(403, "AccessDenied", "no", URI), StorageForbidden)


def test_a_url_whose_credentials_have_run_out_is_signed_anew() -> None:
    """Keys of the pod itself stay as they are, so there the same answer is a refusal."""
    words = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
    away = _failure(httpx.Response(400, text=words), "videos", "one")
    assert isinstance(away, StorageAway)
    assert str(away) == "The provided token has expired. (ExpiredToken)"
