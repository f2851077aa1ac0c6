"""What a renderer that holds no keys of S3 asks the API: URLs for single requests, each signed for that request alone.

The token it shows is its pod's own, made for this audience: the API server takes it for nothing else. What a pod may
wish for is the API's business; here stands only how the two talk.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from videojob.base import Manifest
from videojob.errors import rule_broken

AUDIENCE = "videojob-api"
PATH = "/internal/v1/urls"
TOKEN_FILE = "broker-token"  # noqa: S105 - in the folder of the pod's other token
TOKEN_SECONDS = 600
"""The shortest that Kubernetes has."""

URL_SECONDS = 900
MAX_WISHES = 16
MAX_PUT_BYTES = 5 * 2**30
"""S3's own limit of one PUT."""


class Method(StrEnum):
    """What is done to an object."""

    GET = "GET"
    PUT = "PUT"
    DELETE = "DELETE"


class Wish(Manifest):
    """One request to S3 that a renderer wants to make.

    Attributes:
        key: of the object, in the installation's bucket.
        bytes: of the body of a PUT; so are content_type and sha256, in hexadecimal digits. All three are signed.
    """

    method: Method
    key: Annotated[str, Field(min_length=1, max_length=1024)]
    bytes: Annotated[int, Field(ge=0, le=MAX_PUT_BYTES)] | None = None
    content_type: Annotated[str, Field(pattern=r"^[a-z0-9.+-]{1,64}/[a-z0-9.+-]{1,64}$")] | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _describes_its_body(self) -> Self:
        for field in ("bytes", "content_type", "sha256"):
            if (getattr(self, field) is None) is (self.method is Method.PUT):
                raise rule_broken(field, "must be given with PUT, and with nothing else")
        return self


class Wishes(Manifest):
    """The body of a question."""

    wishes: Annotated[tuple[Wish, ...], Field(min_length=1, max_length=MAX_WISHES)]


class SignedUrl(Manifest):
    """One request to S3 that was granted.

    Attributes:
        url: good for `URL_SECONDS`, for whoever has it: never to be logged.
        headers: must go with it, to the letter.
    """

    url: str
    headers: dict[str, str]


class SignedUrls(Manifest):
    """The answer, in the order of the wishes."""

    urls: tuple[SignedUrl, ...]
