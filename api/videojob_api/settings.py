"""The settings of the API: environment variables and the administrator's model catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from videojob import environment
from videojob.catalogue import Catalogue
from videojob.errors import ConfigurationError

HOST = "VIDEOJOB_API_HOST"
PORT = "VIDEOJOB_API_PORT"
DELIVERY = "VIDEOJOB_API_DELIVERY"
PRESIGNED_SECONDS = "VIDEOJOB_API_PRESIGNED_SECONDS"
PUBLIC_S3_ENDPOINT = "VIDEOJOB_API_PUBLIC_S3_ENDPOINT"

MAX_PRESIGNED_SECONDS = 7 * 24 * 3600
"""AWS's own limit."""


class Delivery(StrEnum):
    """How a video reaches the client."""

    STREAM = "stream"  # through the service, which alone needs to reach S3
    REDIRECT = "redirect"  # 307 to a presigned URL: the client must reach S3 itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that the API is told from outside.

    Attributes:
        namespace: whose VideoJobs are served.
        bucket: S3 bucket of the videos.
        prefix: what all keys in the bucket begin with; may be empty.
        s3_endpoint: URL of an S3 server other than AWS's; keys and region are read by boto3 itself.
        delivery: how a video reaches the client.
        presigned_seconds: how long a presigned URL is good for.
        public_s3_endpoint: under which URL clients reach the S3 server; None = under `s3_endpoint`.
        kubeconfig: path of a kubeconfig; None = the service account of the pod.
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


def read_settings(env: Mapping[str, str]) -> Settings:
    """Read all settings.

    Raises:
        ConfigurationError: one is missing or wrong; the text names it.
    """
    return Settings(
        namespace=_required(env, environment.NAMESPACE),
        catalogue=Catalogue.read(Path(_required(env, environment.CATALOGUE))),
        bucket=_required(env, environment.S3_BUCKET),
        prefix=env.get(environment.S3_PREFIX, ""),
        s3_endpoint=env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or None,
        delivery=_delivery(env.get(DELIVERY) or Delivery.STREAM),
        presigned_seconds=_number(env, PRESIGNED_SECONDS, "900", 1, MAX_PRESIGNED_SECONDS),
        public_s3_endpoint=env.get(PUBLIC_S3_ENDPOINT) or None,
        kubeconfig=env.get("KUBECONFIG") or None,
        host=env.get(HOST) or "0.0.0.0",  # noqa: S104 - a server in a pod
        port=_port(env.get(PORT) or "8000"),
    )


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise ConfigurationError(f"the environment variable {name} is not set")
    return value


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 <= int(text) <= 65535:
        raise ConfigurationError(f"the environment variable {PORT} must be a port number, not {text!r}")
    return int(text)


def _delivery(text: str) -> Delivery:
    if text not in set(Delivery):
        words = " or ".join(Delivery)
        raise ConfigurationError(f"the environment variable {DELIVERY} must be {words}, not {text!r}")
    return Delivery(text)


def _number(env: Mapping[str, str], name: str, otherwise: str, least: int, most: int) -> int:
    text = env.get(name) or otherwise
    if not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
        raise ConfigurationError(f"the environment variable {name} must be {least} to {most}, not {text!r}")
    return int(text)
