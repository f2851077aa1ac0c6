"""Uploads to a real S3 server: what arrives, what is refused at once, and what is tried again."""

import base64
import hashlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Self

import pytest
from loopback_server import LoopbackServer, Quiet
from types_boto3_s3 import S3Client

from videojob_local.s3 import Storage
from videojob_renderer.errors import StorageUnavailable
from videojob_renderer.storage import ObjectStorage, ObjectTooLarge
from videojob_renderer.upload import Destination, Uploader

URI = "s3://videos/renders/studio/uid-1/squirrel-x7k2p/video.mp4"
DESTINATION = Destination("videos", "renders", "studio", "uid-1", "squirrel-x7k2p")

SetVariables = Callable[[dict[str, str]], None]


class UnsteadyStorage(LoopbackServer):
    """An S3 server that fails as told, and then takes what it is given; 0 breaks the connection."""

    def __init__(self, failures: list[int]) -> None:
        self.bodies: list[bytes] = []
        self._failures = failures
        super().__init__(self._handler())

    def _handler(storage: Self) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's
        class Handler(Quiet, BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                code = storage._failures.pop(0) if storage._failures else 200
                if code == 0:
                    return
                if code == 200:
                    storage.bodies.append(body)
                self.send_response(code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                if code := storage._failures.pop(0):
                    body = b"<Error><Code>AccessDenied</Code><Message>told by the test</Message></Error>"
                    self.send_response(code)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

        return Handler


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SetVariables:
    """Set boto3's variables; nothing else of this machine speaks to it."""

    def set_variables(values: dict[str, str]) -> None:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_variables


@pytest.fixture
def video(tmp_path: Path) -> Path:
    file = tmp_path / "video.mp4"
    file.write_bytes(b"frames" * 1000)
    return file


def test_a_file_arrives_whole_under_the_key_of_its_attempt(
    variables: SetVariables, storage: Storage, stored: S3Client, video: Path
) -> None:
    variables(storage.environment())
    artifact = Uploader(DESTINATION, ObjectStorage()).upload(video, "video/mp4")
    assert artifact.uri == URI
    assert artifact.bytes == 6000
    assert artifact.sha256 == hashlib.sha256(video.read_bytes()).hexdigest()
    answer = stored.get_object(
        Bucket="videos", Key="renders/studio/uid-1/squirrel-x7k2p/video.mp4", ChecksumMode="ENABLED"
    )
    assert answer["Body"].read() == video.read_bytes()
    assert answer["ContentType"] == artifact.content_type == "video/mp4"
    if "ChecksumSHA256" in answer:  # not every S3 server gives it back
        assert answer["ChecksumSHA256"] == base64.b64encode(bytes.fromhex(artifact.sha256)).decode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "InvalidAccessKeyId"),
    ],
)
def test_a_refusal_is_told_at_once(
    variables: SetVariables, storage: Storage, video: Path, change: dict[str, str], words: str
) -> None:
    variables(storage.environment() | change)
    uploader = Uploader(DESTINATION, ObjectStorage(), patience_seconds=3600)
    with pytest.raises(StorageUnavailable, match=f"S3 refused {URI}: .*{words}"):
        uploader.upload(video, "video/mp4")


def test_missing_keys_are_told_at_once(variables: SetVariables, storage: Storage, video: Path) -> None:
    variables(storage.environment() | {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
    with pytest.raises(StorageUnavailable, match=r"S3 cannot be used: .*credentials"):
        Uploader(DESTINATION, ObjectStorage(), patience_seconds=3600).upload(video, "video/mp4")


def test_an_endpoint_that_is_no_url_is_told(variables: SetVariables, storage: Storage) -> None:
    variables(storage.environment() | {"AWS_ENDPOINT_URL_S3": "storage"})
    with pytest.raises(StorageUnavailable, match="S3 cannot be used: Invalid endpoint: storage"):
        Uploader(DESTINATION, ObjectStorage())


def test_patience_with_a_storage_that_is_away_ends(
    variables: SetVariables, storage: Storage, video: Path, free_port: int
) -> None:
    variables(storage.environment() | {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{free_port}"})
    with pytest.raises(StorageUnavailable, match=r"S3 did not take video.mp4 in 1 s: Could not connect"):
        Uploader(DESTINATION, ObjectStorage(), patience_seconds=1).upload(video, "video/mp4")


def test_a_storage_that_comes_back_gets_the_file(variables: SetVariables, storage: Storage, video: Path) -> None:
    with UnsteadyStorage([503, 0, 0, 500]) as unsteady:
        variables(storage.environment() | {"AWS_ENDPOINT_URL_S3": unsteady.endpoint})
        Uploader(DESTINATION, ObjectStorage(), patience_seconds=60).upload(video, "video/mp4")
    assert unsteady.bodies == [video.read_bytes()]


def test_an_object_is_read_whole_and_one_that_is_gone_is_none(
    variables: SetVariables, storage: Storage, stored: S3Client
) -> None:
    variables(storage.environment())
    door = ObjectStorage()
    door.put("videos", "notes/one", b"one", "text/plain")
    assert door.get("videos", "notes/one", max_bytes=3) == b"one"
    with pytest.raises(ObjectTooLarge, match="3 bytes"):
        door.get("videos", "notes/one", max_bytes=2)
    door.delete("videos", "notes/one")
    door.delete("videos", "notes/one")
    assert door.get("videos", "notes/one", max_bytes=3) is None


def test_a_bucket_that_is_not_there_is_a_refusal(variables: SetVariables, storage: Storage) -> None:
    variables(storage.environment())
    with pytest.raises(StorageUnavailable, match=r"S3 refused s3://no-such-bucket/notes/one: .*NoSuchBucket"):
        ObjectStorage().get("no-such-bucket", "notes/one", max_bytes=3)


def test_a_wrong_key_is_told_before_there_is_anything_to_upload(variables: SetVariables, storage: Storage) -> None:
    variables(storage.environment())
    Uploader(DESTINATION, ObjectStorage()).check()
    variables(storage.environment() | {"AWS_ACCESS_KEY_ID": "nobody"})
    with pytest.raises(StorageUnavailable, match=r"InvalidAccessKeyId.* the access key of storage is not known there"):
        Uploader(DESTINATION, ObjectStorage()).check()


@pytest.mark.parametrize("code", [403, 503, 0])
def test_a_storage_that_may_take_the_video_later_passes_the_check(
    variables: SetVariables, storage: Storage, code: int
) -> None:
    with UnsteadyStorage([code] * 4) as unsteady:
        variables(storage.environment() | {"AWS_ENDPOINT_URL_S3": unsteady.endpoint})
        Uploader(DESTINATION, ObjectStorage()).check()
