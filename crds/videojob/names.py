"""Names that several parts must form alike: of VideoJobs, labels and objects in S3."""

from datetime import UTC, datetime
from random import Random
from urllib.parse import unquote, urlsplit

from videojob.resource import GROUP

MAX_NAME_LENGTH = 52
"""A pod is called NAME-xxxxx; the Job controller cuts names above 57 characters, which would hide whose pod it is."""

NAME_PATTERN = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
"""A DNS label."""

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "videojob-operator"
NAME_LABEL = f"{GROUP}/name"
UID_LABEL = f"{GROUP}/uid"
BATCH_LABEL = f"{GROUP}/batch"  # of VideoJobs that one REST request asked for: the name of the first
REQUEST_DIGEST_ANNOTATION = f"{GROUP}/request-digest"  # of the request that a client may repeat (Idempotency-Key)
RESTORED_FROM_ANNOTATION = f"{GROUP}/restored-from"  # uid of the VideoJob that this one is a backup of (docs/backup.md)
REMIXED_FROM_ANNOTATION = f"{GROUP}/remixed-from"  # name of the VideoJob whose request was used again

INPUTS_FOLDER = "inputs"
"""In the bucket: holds a folder for each namespace, with the images that its users uploaded."""

EMBEDDINGS_FOLDER = "embeddings"
"""Likewise, with the embeddings of its prompts."""

_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # Kubernetes' own: no vowels, so no words


def new_name(now: datetime, random: Random) -> str:
    """Make the name of a VideoJob that a REST client did not name, such as `job-20250914-121030-x7k2p`."""
    suffix = "".join(random.choice(_SUFFIX_ALPHABET) for _ in range(5))
    return f"job-{now.astimezone(UTC):%Y%m%d-%H%M%S}-{suffix}"


def artifact_key(prefix: str, namespace: str, uid: str, pod_name: str, file_name: str) -> str:
    """Say where a file of one attempt lies in the bucket.

    The pod's name is the attempt: a pod that lost its node and wakes up later writes beside its successor, never
    over it.
    """
    parts = [part for part in (prefix.strip("/"), namespace, uid, pod_name, file_name) if part]
    return "/".join(parts)


def checkpoint_key(prefix: str, namespace: str, uid: str) -> str:
    """Say where the checkpoint of a VideoJob lies in the bucket: one for all of its attempts."""
    return "/".join(part for part in (prefix.strip("/"), namespace, uid, "checkpoint", "state.safetensors") if part)


def input_key(prefix: str, namespace: str, sha256: str) -> str:
    """Say where an input image lies in the bucket: under its content, so that it is stored once."""
    return "/".join(part for part in (prefix.strip("/"), INPUTS_FOLDER, namespace, sha256) if part)


def image_folders(prefix: str, namespace: str) -> tuple[str, str]:
    """Say where in the bucket the input image of a VideoJob may lie: what its namespace put or rendered there."""
    root = f"{prefix.strip('/')}/".removeprefix("/")
    return f"{root}{INPUTS_FOLDER}/{namespace}/", f"{root}{namespace}/"


def embedding_key(prefix: str, namespace: str, digest: str) -> str:
    """Say where the embedding of a text lies in the bucket: whoever could write it for another namespace, could lie."""
    parts = (prefix.strip("/"), EMBEDDINGS_FOLDER, namespace, f"{digest}.safetensors")
    return "/".join(part for part in parts if part)


def bucket_and_key(uri: str) -> tuple[str, str] | None:
    """Take `s3://BUCKET/KEY` apart; None where it is no such URI."""
    parts = urlsplit(uri)
    bucket, key = parts.netloc, unquote(parts.path).removeprefix("/")
    return (bucket, key) if parts.scheme == "s3" and bucket and key else None


def is_of_attempt(uri: str, uid: str, pod_name: str) -> bool:
    """Tell whether an artifact's URI (`s3://BUCKET/KEY`) was written by this pod of this VideoJob."""
    folders = urlsplit(uri).path.split("/")[:-1]
    return folders[-2:] == [uid, pod_name]
