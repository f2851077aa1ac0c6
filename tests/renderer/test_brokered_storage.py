"""Objects without keys: what a renderer makes of the API's answers and of a real S3 server's."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from recording_api import RecordingApi
from renderer_process import UID, RendererProcess, environment
from signing_api import SigningApi
from types_boto3_s3 import S3Client

from videojob.broker import TOKEN_FILE
from videojob.resolve import ResolvedRequest
from videojob_local.s3 import Storage
from videojob_renderer.brokered_storage import BrokeredStorage
from videojob_renderer.errors import StorageForbidden, StorageUnavailable, WeightsUnavailable
from videojob_renderer.models.locate import locate
from videojob_renderer.objects import ObjectTooLarge, StorageAway
from videojob_renderer.upload import Destination, Uploader

DESTINATION = Destination("videos", "signed", "studio", "uid-1", "squirrel-x7k2p")
TEXT = "text/plain"


@pytest.fixture
def signing(storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SigningApi]:
    """An API that signs with the keys of the S3 server; afterwards this process has none."""
    with monkeypatch.context() as keys:
        for name, value in storage.environment().items():
            keys.setenv(name, value)
        api = SigningApi(storage, tmp_path)
    with api:
        yield api


Open = Callable[[str], BrokeredStorage]


@pytest.fixture
def open_door(tmp_path: Path) -> Iterator[Open]:
    """Make the renderer's storage by way of an API, and close its connections in the end."""
    opened: list[BrokeredStorage] = []

    def open_door(broker_url: str) -> BrokeredStorage:
        opened.append(BrokeredStorage(broker_url, tmp_path, "videos"))
        return opened[-1]

    yield open_door
    for door in opened:
        door._broker.close()
        door._s3.close()


@pytest.fixture
def door(signing: SigningApi, open_door: Open) -> BrokeredStorage:
    return open_door(signing.endpoint)


def test_objects_are_put_read_and_deleted_by_urls_of_the_moment(
    signing: SigningApi, door: BrokeredStorage, stored: S3Client, caplog: pytest.LogCaptureFixture
) -> None:
    door.put("videos", "signed/one", b"one", TEXT)
    assert stored.head_object(Bucket="videos", Key="signed/one")["ContentType"] == TEXT
    assert door.get("videos", "signed/one", max_bytes=3) == b"one"
    with pytest.raises(ObjectTooLarge, match="3 bytes"):
        door.get("videos", "signed/one", max_bytes=2)
    door.delete("videos", "signed/one")
    door.delete("videos", "signed/one")
    assert door.get("videos", "signed/one", max_bytes=3) is None
    door.put("videos", "signed/empty", b"", TEXT)
    assert door.get("videos", "signed/empty", max_bytes=0) == b""
    assert [method for method, _ in signing.wishes] == [
        *("PUT", "GET", "GET", "DELETE", "DELETE", "GET"),
        *("PUT", "GET"),
    ]
    assert "X-Amz" not in caplog.text


def test_the_token_is_read_anew_for_each_question(signing: SigningApi, door: BrokeredStorage) -> None:
    door.get("videos", "signed/none", 1)
    (signing.token_dir / TOKEN_FILE).write_text("another-token\n")
    door.get("videos", "signed/none", 1)
    assert signing.tokens == ["a-token", "another-token"]


@pytest.mark.parametrize("code", [401, 404, 429, 500, 503, 0])
def test_an_api_that_is_away_or_being_rolled_out_is_worth_another_try(
    signing: SigningApi, door: BrokeredStorage, code: int
) -> None:
    signing.answers = [code]
    with pytest.raises(StorageAway, match="the API "):
        door.put("videos", "signed/away", b"x", TEXT)
    door.put("videos", "signed/away", b"x", TEXT)


@pytest.mark.parametrize("code", [403, 413, 422])
def test_a_refusal_of_the_api_is_told_in_its_words(signing: SigningApi, door: BrokeredStorage, code: int) -> None:
    signing.answers = [code]
    words = f"the API answered {code} to a wish for s3://videos/signed/x: told by the test"
    with pytest.raises(StorageUnavailable, match=words):
        door.get("videos", "signed/x", 1)


def test_without_a_token_and_without_an_api_another_try_may_help(
    door: BrokeredStorage, open_door: Open, tmp_path: Path, free_port: int
) -> None:
    (tmp_path / TOKEN_FILE).unlink()
    with pytest.raises(StorageAway, match=TOKEN_FILE):
        door.get("videos", "signed/x", 1)
    (tmp_path / TOKEN_FILE).write_text("a-token")
    nobody = open_door(f"http://127.0.0.1:{free_port}")
    with pytest.raises(StorageAway, match="the API does not answer: ConnectError"):
        nobody.delete("videos", "signed/x")


def test_what_is_not_in_the_installations_bucket_is_out_of_reach(door: BrokeredStorage, signing: SigningApi) -> None:
    with pytest.raises(StorageUnavailable, match="s3://pictures/one cannot be reached: this pod has no keys of S3"):
        door.get("pictures", "one", 1)
    assert not signing.tokens


def test_a_wrong_url_is_told_at_once(open_door: Open) -> None:
    with pytest.raises(StorageUnavailable, match="cannot be used as a broker"):
        open_door("http://api:port")


def test_refusals_of_s3_are_told_as_with_keys(
    storage: Storage, open_door: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as keys:
        for name, value in (storage.environment() | {"AWS_SECRET_ACCESS_KEY": "wrong"}).items():
            keys.setenv(name, value)
        api = SigningApi(storage, tmp_path)
    with api, pytest.raises(StorageUnavailable, match=r"S3 refused s3://videos/x: .*\(SignatureDoesNotMatch\) - the s"):
        open_door(api.endpoint).put("videos", "x", b"x", TEXT)


def test_only_s3_itself_may_say_that_something_is_forbidden_and_yet_pass_the_check(
    signing: SigningApi, door: BrokeredStorage
) -> None:
    """Keys that may only write are good enough; a pod that the API refuses would render for nothing."""
    signing.answers = [403]
    with pytest.raises(StorageUnavailable) as refused:
        Uploader(DESTINATION, door).check()
    assert not isinstance(refused.value, StorageForbidden)
    Uploader(DESTINATION, door).check()


def test_an_upload_outlasts_an_api_that_is_away(
    signing: SigningApi, door: BrokeredStorage, stored: S3Client, tmp_path: Path
) -> None:
    signing.answers = [503, 0, 401]
    video = tmp_path / "video.mp4"
    video.write_bytes(b"frames" * 1000)
    artifact = Uploader(DESTINATION, door, patience_seconds=600).upload(video, "video/mp4")
    assert artifact.uri == "s3://videos/signed/studio/uid-1/squirrel-x7k2p/video.mp4"
    body = stored.get_object(Bucket="videos", Key=artifact.uri.removeprefix("s3://videos/"))["Body"].read()
    assert hashlib.sha256(body).hexdigest() == artifact.sha256


def test_weights_in_a_bucket_need_keys_and_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    environ = {"VIDEOJOB_MODEL_CACHE": str(tmp_path / "cache"), "VIDEOJOB_BROKER_URL": "http://api"}
    with pytest.raises(WeightsUnavailable, match=r"credentials\. This pod has no keys of S3 .*: stage the model"):
        locate("s3://models/tiny", None, environ)


@pytest.mark.torch
def test_a_whole_render_needs_no_variable_of_aws(
    signing: SigningApi,
    api: RecordingApi,
    stored: S3Client,
    make_request: Callable[..., ResolvedRequest],
    model_folder: Path,
    tmp_path: Path,
) -> None:
    (api.token_dir / TOKEN_FILE).write_text("a-token")
    told = environment(
        make_request(source=str(model_folder)), api_port=api.port, token_dir=api.token_dir, storage={}
    ) | {"VIDEOJOB_BROKER_URL": signing.endpoint, "VIDEOJOB_S3_PREFIX": "brokered"}
    assert not [name for name in told if name.startswith("AWS_")]
    (tmp_path / "pod").mkdir()
    renderer = RendererProcess(tmp_path / "pod", told)
    assert renderer.wait() == 0, renderer.text
    folder = f"brokered/studio/{UID}/squirrel-x7k2p"
    kept = {entry["Key"] for entry in stored.list_objects_v2(Bucket="videos", Prefix="brokered/")["Contents"]}
    own = {key for key in kept if key.startswith(folder)}
    assert own == {f"{folder}/{name}" for name in ("video.mp4", "thumbnail.jpg", "spritesheet.jpg", "manifest.json")}
    assert {key.rpartition("/")[0] for key in kept - own} == {"brokered/embeddings/studio"}, "and no checkpoint"
    assert "X-Amz" not in renderer.text
    assert "a-token" not in renderer.text
