"""Uploads the files of an attempt, under keys that belong to this attempt alone.

A refusal fails at once; a storage that is away is asked again for a while, because the video has cost minutes of a
GPU.
"""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

from videojob.names import artifact_key
from videojob.status import Artifact
from videojob_renderer.environment import Settings
from videojob_renderer.errors import StorageForbidden, StorageUnavailable
from videojob_renderer.objects import Objects, ObjectTooLarge, StorageAway
from videojob_renderer.patience import patiently

_log = logging.getLogger(__name__)

PATIENCE_SECONDS = 900.0
"""How long a finished render asks a storage that is away: as long as it asks the API server."""


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
        storage: takes them.
        patience_seconds: how long to ask a storage that is away.
    """

    def __init__(self, destination: Destination, storage: Objects, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._destination = destination
        self._storage = storage
        self._patience_seconds = patience_seconds

    def upload(self, file: Path, content_type: str) -> Artifact:
        """Upload a file and return what the status says of it.

        Raises:
            StorageUnavailable: S3 refused it, or stayed away.
        """
        body = file.read_bytes()  # a few MB
        key = self._destination.key(file.name)
        bucket = self._destination.bucket
        try:
            patiently(lambda: self._storage.put(bucket, key, body, content_type), self._patience_seconds)
        except StorageAway as error:
            patience = f"{self._patience_seconds:.0f} s"
            raise StorageUnavailable(f"S3 did not take {file.name} in {patience}: {error}") from error
        uri = f"s3://{bucket}/{key}"
        return Artifact(uri=uri, bytes=len(body), sha256=hashlib.sha256(body).hexdigest(), content_type=content_type)

    def check(self) -> None:
        """Ask S3 for an object that is not there yet: wrong keys or a wrong bucket are told before a GPU is used.

        A storage that is away may be back when the video is there, and keys that may only write are good enough.

        Raises:
            StorageUnavailable: S3 refused.
        """
        key = self._destination.key("manifest.json")
        try:
            self._storage.get(self._destination.bucket, key, max_bytes=1)
        except StorageForbidden:
            _log.info("the keys of S3 may not read")
        except (ObjectTooLarge, StorageAway) as error:
            _log.warning("S3 cannot be checked: %s", error)
