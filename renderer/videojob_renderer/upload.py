"""Uploads the files of an attempt, under keys that belong to this attempt alone.

A refusal fails at once; a storage that is away is asked again for a while, because the video has cost minutes of a
GPU.
"""

import hashlib
import logging
import random
import time
from dataclasses import dataclass
from pathlib import Path

from videojob.names import artifact_key
from videojob.status import Artifact
from videojob_renderer.environment import Settings
from videojob_renderer.errors import StorageForbidden, StorageUnavailable
from videojob_renderer.objects import Objects, ObjectTooLarge, StorageAway

_log = logging.getLogger(__name__)

PATIENCE_SECONDS = 900.0
"""How long a finished render asks a storage that is away: as long as it asks the API server."""

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0


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
        deadline = time.monotonic() + self._patience_seconds
        longest_seconds = _FIRST_PAUSE_SECONDS
        while error := self._put(key, body, content_type):
            # At random: many renderers are cut off at the same moment, and must not come back at the same moment.
            pause_seconds = longest_seconds * random.uniform(0.5, 1)
            if time.monotonic() + pause_seconds > deadline:
                raise StorageUnavailable(f"S3 did not take {file.name} in {self._patience_seconds:.0f} s: {error}")
            _log.warning("S3 is away, trying on", extra={"error": str(error)})
            time.sleep(pause_seconds)
            longest_seconds = min(2 * longest_seconds, _LONGEST_PAUSE_SECONDS)
        uri = f"s3://{self._destination.bucket}/{key}"
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

    def _put(self, key: str, body: bytes, content_type: str) -> StorageAway | None:
        """Put once; return the error if another try may help."""
        try:
            self._storage.put(self._destination.bucket, key, body, content_type)
        except StorageAway as error:
            return error
        return None
