"""What one renderer may do in the bucket: pure, from a key to the methods that are granted for it.

Everything is compared with keys that are formed here, from what the cluster says of the pod; nothing is taken apart
and believed. So a key with `..` in it could only be granted if a rule had one, and is refused before all the same,
because some S3 servers keep objects as files.
"""

import re
from dataclasses import dataclass

from videojob.broker import Method, Wish
from videojob.names import artifact_key, checkpoint_key, embedding_key

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_EMBEDDING = re.compile(r"[0-9a-f]{64}\.safetensors", re.ASCII)
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f%\\]")

_NOTHING: frozenset[Method] = frozenset()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One pod that renders a VideoJob.

    Attributes:
        uid: of the VideoJob.
        image_key: of the input image in the installation's bucket; None where the request has none there.
    """

    namespace: str
    uid: str
    pod_name: str
    image_key: str | None = None


def refusal(wish: Wish, attempt: Attempt, prefix: str) -> str | None:
    """Return why a wish is refused, None where it is granted.

    Args:
        wish: what the renderer wants to do.
        attempt: who it is.
        prefix: of all keys of this installation.
    """
    if not is_plain(wish.key.removeprefix(prefix.strip("/")).removeprefix("/")):  # the prefix is the administrator's
        return f"{wish.key!r} is no plain key: without empty parts, '.', '..', '%', backslashes and control characters"
    if wish.method not in granted(wish.key, attempt, prefix):
        return f"the pod {attempt.pod_name} may not {wish.method} {wish.key!r}"
    return None


def is_plain(key: str) -> bool:
    """Tell whether a key means the same to everyone who reads it."""
    return not (_FORBIDDEN.search(key) or {"", ".", ".."} & set(key.split("/")))


def granted(key: str, attempt: Attempt, prefix: str) -> frozenset[Method]:
    """Return what a renderer may do with the object of a key."""
    namespace, uid = attempt.namespace, attempt.uid
    file_name = key.rpartition("/")[2]
    if key == checkpoint_key(prefix, namespace, uid):
        return frozenset(Method)
    if _FILE_NAME.fullmatch(file_name) and key == artifact_key(prefix, namespace, uid, attempt.pod_name, file_name):
        return frozenset({Method.GET, Method.PUT})
    if _EMBEDDING.fullmatch(file_name) and key == embedding_key(prefix, namespace, file_name.partition(".")[0]):
        return frozenset({Method.GET, Method.PUT})
    if key == attempt.image_key:
        return frozenset({Method.GET})
    return _NOTHING
