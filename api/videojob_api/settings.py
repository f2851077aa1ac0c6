"""The settings of the API: environment variables and the administrator's model catalogue."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from videojob import environment
from videojob.catalogue import Catalogue
from videojob.errors import ConfigurationError

HOST = "VIDEOJOB_API_HOST"
PORT = "VIDEOJOB_API_PORT"
DELIVERY = "VIDEOJOB_API_DELIVERY"
PRESIGNED_SECONDS = "VIDEOJOB_API_PRESIGNED_SECONDS"
PUBLIC_S3_ENDPOINT = "VIDEOJOB_API_PUBLIC_S3_ENDPOINT"
AUTHENTICATION = "VIDEOJOB_API_AUTH"
ALLOW_ANYONE = "VIDEOJOB_API_ALLOW_ANYONE"
KEYS_FILE = "VIDEOJOB_API_KEYS_FILE"
REQUESTS_PER_MINUTE = "VIDEOJOB_API_REQUESTS_PER_MINUTE"
CORS_ORIGINS = "VIDEOJOB_API_CORS_ORIGINS"
RENDERER_SERVICE_ACCOUNT = "VIDEOJOB_RENDERER_SERVICE_ACCOUNT"

USUAL_REQUESTS_PER_MINUTE = 600
"""Of a caller that is known. The page asks 46 times a minute at most, and once for each
thumbnail that it shows; an OpenAI client that waits asks 60 times."""

MAX_REQUESTS_PER_MINUTE = 1_000_000

MAX_PRESIGNED_SECONDS = 7 * 24 * 3600
"""AWS's own limit."""

W = TypeVar("W", bound=StrEnum)


class Authentication(StrEnum):
    """How callers are known."""

    NONE = "none"  # not at all
    KUBERNETES = "kubernetes"  # by a token of the cluster, and the rights it has there
    KEYS = "keys"  # by the keys of a file


class Delivery(StrEnum):
    """How a video reaches the client."""

    STREAM = "stream"  # through the service, which alone needs to reach S3
    REDIRECT = "redirect"  # 307 to a presigned URL: the client must reach S3 itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that the API is told from outside.

    Attributes:
        namespace: whose VideoJobs are served, unless a request or its caller names another one.
        more_namespaces: that are served besides.
        bucket: S3 bucket of the videos.
        prefix: what all keys in the bucket begin with; may be empty.
        s3_endpoint: URL of an S3 server other than AWS's; keys and region are read by boto3 itself.
        delivery: how a video reaches the client.
        presigned_seconds: how long a presigned URL is good for.
        public_s3_endpoint: under which URL clients reach the S3 server; None = under `s3_endpoint`.
        kubeconfig: path of a kubeconfig; None = the service account of the pod.
        authentication: how callers are known.
        keys_file: path of the file of keys.
        requests_per_minute: of one caller, unless its key says otherwise; 0 = no limit.
        cors_origins: origins whose pages may call the service; none unless told so.
        renderer_service_account: whose pods get signed URLs of S3 here; None = nobody's, they have keys.
    """

    namespace: str
    catalogue: Catalogue
    bucket: str
    prefix: str = ""
    s3_endpoint: str | None = None
    delivery: Delivery = Delivery.STREAM
    presigned_seconds: int = 900
    public_s3_endpoint: str | None = None
    kubeconfig: str | None = None
    host: str = "0.0.0.0"  # noqa: S104 - a server in a pod
    port: int = 8000
    more_namespaces: tuple[str, ...] = ()
    authentication: Authentication = Authentication.NONE
    keys_file: Path = Path()
    requests_per_minute: int = 0
    cors_origins: tuple[str, ...] = ()
    renderer_service_account: str | None = None

    @property
    def namespaces(self) -> tuple[str, ...]:
        """All that are served, the default first."""
        return (self.namespace, *self.more_namespaces)


def read_settings(env: Mapping[str, str]) -> Settings:
    """Read all settings.

    Raises:
        ConfigurationError: one is missing or wrong; the text names it.
    """
    namespace, *more_namespaces = _list(_required(env, environment.NAMESPACE))
    authentication = _word(env, AUTHENTICATION, Authentication, Authentication.NONE)
    is_open = authentication is Authentication.NONE
    return Settings(
        namespace=namespace,
        more_namespaces=tuple(more_namespaces),
        catalogue=Catalogue.read(Path(_required(env, environment.CATALOGUE))),
        bucket=_required(env, environment.S3_BUCKET),
        prefix=env.get(environment.S3_PREFIX, ""),
        s3_endpoint=env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or None,
        delivery=_word(env, DELIVERY, Delivery, Delivery.STREAM),
        presigned_seconds=_number(env, PRESIGNED_SECONDS, "900", 1, MAX_PRESIGNED_SECONDS),
        public_s3_endpoint=env.get(PUBLIC_S3_ENDPOINT) or None,
        kubeconfig=env.get("KUBECONFIG") or None,
        host=_host(env, is_open=is_open),
        port=_port(env.get(PORT) or "8000"),
        authentication=authentication,
        keys_file=Path(_required(env, KEYS_FILE) if authentication is Authentication.KEYS else ""),
        requests_per_minute=_number(
            env, REQUESTS_PER_MINUTE, "0" if is_open else str(USUAL_REQUESTS_PER_MINUTE), 0, MAX_REQUESTS_PER_MINUTE
        ),
        cors_origins=tuple(_list(env.get(CORS_ORIGINS, ""))),
        renderer_service_account=env.get(RENDERER_SERVICE_ACCOUNT) or None,
    )


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value.strip(" ,"):
        raise ConfigurationError(f"the environment variable {name} is not set")
    return value


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 <= int(text) <= 65535:
        raise ConfigurationError(f"the environment variable {PORT} must be a port number, not {text!r}")
    return int(text)


def _word(env: Mapping[str, str], name: str, words: type[W], otherwise: W) -> W:
    text = env.get(name) or otherwise
    if text not in set(words):
        legal = " or ".join(words)
        raise ConfigurationError(f"the environment variable {name} must be {legal}, not {text!r}")
    return words(text)


def _list(text: str) -> list[str]:
    """Read values with commas between them."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _host(env: Mapping[str, str], *, is_open: bool) -> str:
    host = env.get(HOST) or "0.0.0.0"  # noqa: S104 - a server in a pod
    if is_open and not _is_loopback(host) and env.get(ALLOW_ANYONE) != "true":
        raise ConfigurationError(
            f"without authentication the service listens on loopback only, and {HOST} is {host}: "
            f"set {AUTHENTICATION} to kubernetes or keys, {HOST} to 127.0.0.1, or {ALLOW_ANYONE} to true"
        )
    return host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _number(env: Mapping[str, str], name: str, otherwise: str, least: int, most: int) -> int:
    text = env.get(name) or otherwise
    if not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
        raise ConfigurationError(f"the environment variable {name} must be {least} to {most}, not {text!r}")
    return int(text)
