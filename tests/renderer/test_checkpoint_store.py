"""The checkpoint of a VideoJob waits for an S3 that is away for a moment, at the beginning and at the end."""

from typing import Any

import pytest
from memory_storage import MemoryStorage

from videojob_renderer import checkpoint_store, patience
from videojob_renderer.checkpoint_store import CheckpointStore
from videojob_renderer.environment import Settings
from videojob_renderer.objects import StorageAway

REQUEST: Any = None  # nothing of it is looked at
SETTINGS = Settings("squirrel", "studio", "uid-1", "pod", "https://api", "/t", "b", "", None, REQUEST)  # type: ignore[arg-type]


class StorageThatComesBack(MemoryStorage):
    """Answers to the third call of each kind only."""

    def __init__(self) -> None:
        super().__init__()
        self.gets, self.deletes = 0, 0

    def get(self, bucket: str, key: str, max_bytes: int) -> bytes | None:
        self.gets += 1
        if self.gets < 3:
            raise StorageAway("told by the test")
        return super().get(bucket, key, max_bytes)

    def delete(self, bucket: str, key: str) -> None:
        self.deletes += 1
        if self.deletes < 3:
            raise StorageAway("told by the test")
        super().delete(bucket, key)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_FIRST_PAUSE_SECONDS", 0.01)


def test_what_an_earlier_pod_left_is_found_and_removed_once_s3_is_back() -> None:
    storage: Any = StorageThatComesBack()
    with CheckpointStore(SETTINGS, MemoryStorage()) as first:  # type: ignore[arg-type]
        storage.objects[first._key] = b"latents"
    with CheckpointStore(SETTINGS, storage) as store:
        assert store.found() == b"latents"
    store.remove()
    assert storage.objects == {}


def test_an_s3_that_stays_away_is_no_reason_to_fail(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(checkpoint_store, "PATIENCE_SECONDS", 0.0)
    storage: Any = StorageThatComesBack()
    with CheckpointStore(SETTINGS, storage) as store:
        assert store.found() is None
    store.remove()
    assert [record.getMessage() for record in caplog.records] == [
        "no checkpoint could be read, beginning anew: told by the test",
        "the checkpoint was left in S3: told by the test",
    ]
