"""What can go wrong with a call, one class for each answer a client may have to tell apart.

ApiError
├── Unauthenticated      401  the service wants a key or a token, and this is none
├── Forbidden            403  the caller may not do this, or not there
├── RateLimited          429  the caller calls too often
├── InvalidInput         422  a value breaks a rule; `field` and often `nearest` say how to mend it
├── UnknownJob           404  there is no such job
├── VideoNotReady        409  the job has not ended, or ended without a video
├── JobEnded             409  a job that has ended cannot be cancelled
├── IdempotencyKeyReused 409  another request was made with this key
├── VideoGone            410  the job was completed, its video is no longer in S3
├── BodyTooLarge         413  no request is that long
├── RangeNotSatisfiable  416  the video has no such bytes
├── JobRejected          403  the cluster refused the job
│   └── PolicyRefused    403  one of its policies did
├── QuotaExceeded        429  the namespace's quota of jobs is used up
└── Unavailable          503  a part the API needs does not answer
    ├── ClusterUnavailable    Kubernetes
    │   └── NameTaken         the job needs another name; the service chooses one
    └── StorageUnavailable    S3
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from videojob.reasons import Reason

RETRY_AFTER_SECONDS = 5


class ApiError(Exception):
    """A call that ends with an error answer.

    Attributes:
        http_status: status of the answer.
        code: stable word for programs; a released word never changes.
        message: one sentence for a person, without a prompt.
        field: name of the field at fault as the client writes it, or None.
        nearest: the legal value nearest to the one given, or None.
        headers: go into the answer.
    """

    http_status: ClassVar[int] = 500
    code: str = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        field: str | None = None,
        nearest: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.field = field
        self.nearest = nearest
        self.headers = dict(headers or {})


class Unauthenticated(ApiError):
    """The service wants a key or a token, and this is none."""

    http_status = 401
    code = "Unauthenticated"

    def __init__(self, message: str) -> None:
        super().__init__(message, field="Authorization", headers={"WWW-Authenticate": "Bearer"})


class Forbidden(ApiError):
    """The caller may not do this, or not there."""

    http_status = 403
    code = "Forbidden"


class RateLimited(ApiError):
    """The caller calls too often."""

    http_status = 429
    code = "RateLimited"

    def __init__(self, requests_per_minute: int, seconds: int) -> None:
        message = f"at most {requests_per_minute} requests a minute; try again in {seconds} s"
        super().__init__(message, headers={"Retry-After": str(seconds)})


class InvalidInput(ApiError):
    """A value breaks a rule."""

    http_status = 422
    code = Reason.INVALID_REQUEST


class UnknownJob(ApiError):
    """There is no such job."""

    http_status = 404
    code = "UnknownJob"


class VideoNotReady(ApiError):
    """The job has no video: not yet, or never."""

    http_status = 409
    code = "VideoNotReady"


class JobEnded(ApiError):
    """The job has ended: there is nothing to cancel."""

    http_status = 409
    code = "JobEnded"


class IdempotencyKeyReused(ApiError):
    """Another request was made with this Idempotency-Key."""

    http_status = 409
    code = "IdempotencyKeyReused"

    def __init__(self, message: str) -> None:
        super().__init__(message, field="Idempotency-Key")


class VideoGone(ApiError):
    """The video was there, and was removed from S3."""

    http_status = 410
    code = "VideoGone"


class BodyTooLarge(ApiError):
    """The body is longer than any legal request."""

    http_status = 413
    code = "BodyTooLarge"

    def __init__(self, message: str, *, field: str) -> None:
        # The rest of the body is not waited for.
        super().__init__(message, field=field, headers={"Connection": "close"})


class RangeNotSatisfiable(ApiError):
    """The video has no such bytes."""

    http_status = 416
    code = "RangeNotSatisfiable"


class JobRejected(ApiError):
    """The cluster refused the job."""

    http_status = 403
    code = Reason.JOB_REJECTED


class PolicyRefused(JobRejected):
    """A policy of the cluster refused the job."""

    code = Reason.POLICY_REFUSED


class QuotaExceeded(ApiError):
    """The namespace holds as many jobs as its quota allows."""

    http_status = 429
    code = "QuotaExceeded"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"Retry-After": str(60)})


class Unavailable(ApiError):
    """A part the API needs does not answer; the same call may succeed soon."""

    http_status = 503

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


class ClusterUnavailable(Unavailable):
    """Kubernetes does not answer, or not to us."""

    code = "ClusterUnavailable"


class NameTaken(ClusterUnavailable):
    """There is a VideoJob of this name; a client sees this only when several names in a row were taken."""


class StorageUnavailable(Unavailable):
    """S3 does not answer, or not to us."""

    code = Reason.STORAGE_UNAVAILABLE
