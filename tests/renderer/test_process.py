"""The renderer as the kubelet runs it, from its environment to its exit code."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mp4
import pytest
from PIL import Image
from recording_api import RecordingApi
from renderer_process import RendererProcess, environment
from types_boto3_s3 import S3Client

from videojob.families import Family
from videojob.resolve import ResolvedRequest
from videojob.status import Artifacts, Progress, RendererReport
from videojob_local.s3 import Storage
from videojob_renderer.checkpoint import decode
from videojob_renderer.tiny import make_tiny

pytestmark = pytest.mark.torch

UID = "4b5e1a70-0000-4000-8000-000000000001"
SECRET = "A squirrel that nobody may read of"

Start = Callable[..., RendererProcess]
MakeRequest = Callable[..., ResolvedRequest]


@pytest.fixture
def start(tmp_path: Path, api: RecordingApi, storage: Storage) -> Iterator[Start]:
    """Start a renderer; its environment can be changed."""
    started: list[RendererProcess] = []

    def start(request: ResolvedRequest, **changes: str) -> RendererProcess:
        told = environment(request, api_port=api.port, token_dir=api.token_dir, storage=storage.environment())
        started.append(RendererProcess(tmp_path, told | changes))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def keys(stored: S3Client, pod_name: str) -> list[str]:
    listed = stored.list_objects_v2(Bucket="videos", Prefix=f"studio/{UID}/{pod_name}/")
    return [entry["Key"] for entry in listed.get("Contents", [])]


def hold_manifest(manifest: dict[str, Any], artifacts: dict[str, Any], stored: S3Client) -> None:
    """It says of every file what the status says, and what S3 has."""
    assert manifest["request"]["prompt"] == SECRET, "the bucket is the user's own"
    assert manifest["job"]["podName"] == "squirrel-whole"
    for name in ("video", "thumbnail", "spritesheet"):
        described = manifest["files"][name]
        assert described == artifacts[name]
        content = stored.get_object(Bucket="videos", Key=described["uri"][12:])["Body"].read()
        assert hashlib.sha256(content).hexdigest() == described["sha256"]


def test_a_request_becomes_a_video_in_s3_and_a_status(
    start: Start, make_request: MakeRequest, api: RecordingApi, stored: S3Client, model_folder: Path, tmp_path: Path
) -> None:
    request = make_request(prompt=SECRET, source=str(model_folder), seed=None, num_frames=17, fps=12)
    run = start(request, VIDEOJOB_POD_NAME="squirrel-whole", VIDEOJOB_IMAGE="videojob-renderer:1")
    assert run.wait() == 0, run.text

    last = api.statuses[-1]
    artifacts = Artifacts.model_validate(last["artifacts"])
    assert artifacts.video is not None
    assert artifacts.thumbnail is not None
    folder = f"s3://videos/studio/{UID}/squirrel-whole"
    assert (artifacts.video.uri, artifacts.thumbnail.uri) == (f"{folder}/video.mp4", f"{folder}/thumbnail.jpg")

    answer = stored.get_object(Bucket="videos", Key=artifacts.video.uri.removeprefix("s3://videos/"))
    content = answer["Body"].read()
    assert answer["ContentType"] == artifacts.video.content_type == "video/mp4"
    assert hashlib.sha256(content).hexdigest() == artifacts.video.sha256
    assert len(content) == artifacts.video.bytes
    (tmp_path / "video.mp4").write_bytes(content)
    decoded = mp4.decode(tmp_path / "video.mp4")
    assert (decoded.codec, decoded.pixel_format, decoded.frames, decoded.fps) == ("h264", "yuv420p", 17, 12)
    assert (decoded.width, decoded.height) == (64, 48) == (artifacts.video.width, artifacts.video.height)
    assert (artifacts.video.frames, artifacts.video.fps, artifacts.video.duration_seconds) == (17, 12, 1.417)

    answer = stored.get_object(Bucket="videos", Key=artifacts.thumbnail.uri.removeprefix("s3://videos/"))
    with Image.open(io.BytesIO(answer["Body"].read())) as picture:
        assert (picture.format, picture.size) == ("JPEG", (64, 48))

    assert artifacts.manifest is not None
    manifest = json.loads(stored.get_object(Bucket="videos", Key=artifacts.manifest.uri[12:])["Body"].read())
    hold_manifest(manifest, last["artifacts"], stored)
    assert json.loads(mp4.comment(tmp_path / "video.mp4"))["seed"] == manifest["resolved"]["seed"]

    told = [Progress.model_validate(progress) for progress in api.progress]
    assert [progress.percent for progress in told] == sorted(progress.percent for progress in told)
    assert told[-1].percent == 100
    assert {progress.pod_name for progress in told} == {"squirrel-whole"}
    assert told[0].stage == "Loading"
    assert all("artifacts" not in status for status in api.statuses[:-1]), "one patch is the commit"
    drawn = [status["resolved"] for status in api.statuses if "resolved" in status]
    assert len(drawn) == 1
    assert drawn[0]["seed"] == manifest["resolved"]["seed"] >= 0

    report = RendererReport.model_validate(last["renderer"])
    assert (report.image, report.dtype, report.gpu) == ("videojob-renderer:1", "float32", None)
    assert report.torch
    assert report.seconds is not None
    assert all(seconds is not None for seconds in report.seconds.model_dump().values())

    assert (run.last_words["reason"], run.last_words["artifacts"]) == ("Completed", last["artifacts"])
    assert not list(run.scratch.glob("videojob-*"))
    assert SECRET not in run.text
    assert all(SECRET not in json.dumps(request) for request in api.requests)
    assert {line["uid"] for line in run.lines} == {UID}


def test_sigterm_while_denoising_ends_with_75_and_no_video(
    start: Start, make_request: MakeRequest, api: RecordingApi, stored: S3Client, model_folder: Path
) -> None:
    run = start(
        make_request(prompt=SECRET, source=str(model_folder), steps=200, num_frames=49, width=192, height=128),
        VIDEOJOB_POD_NAME="squirrel-stopped",
    )
    run.wait_until(lambda: any(progress["step"] for progress in api.progress), "the first step")
    run.terminate()
    assert run.wait(20) == 75, run.text
    assert run.last_words["reason"] == "Interrupted"
    assert api.progress[-1]["stage"] == "Denoising"
    assert api.statuses[-1]["renderer"]["seconds"]["denoise"] > 0
    assert keys(stored, "squirrel-stopped") == []
    checkpoint = f"studio/{UID}/checkpoint/state.safetensors"
    saved = decode(stored.get_object(Bucket="videos", Key=checkpoint)["Body"].read())
    assert saved.state.step >= api.progress[-1]["step"], "the step that was under way was finished and saved"
    stored.delete_object(Bucket="videos", Key=checkpoint)
    assert not list(run.scratch.glob("videojob-*"))
    assert SECRET not in run.text


def test_sigterm_while_libraries_are_imported_ends_with_75(
    start: Start, make_request: MakeRequest, api: RecordingApi, model_folder: Path
) -> None:
    run = start(make_request(source=str(model_folder)))
    run.wait_until(lambda: api.statuses, "the first status")  # sent while torch is being imported
    run.terminate()
    assert run.wait(20) == 75, run.text
    assert run.last_words["reason"] == "Interrupted"
    assert "Traceback" not in run.text


def test_missing_weights_are_told_with_their_folder(
    start: Start, make_request: MakeRequest, api: RecordingApi, tmp_path: Path
) -> None:
    run = start(make_request(prompt=SECRET, source=str(tmp_path / "no-model")))
    assert run.wait() == 1, run.text
    assert run.last_words["reason"] == "WeightsUnavailable"
    assert str(tmp_path / "no-model") in run.last_words["message"]
    assert "artifacts" not in api.statuses[-1]
    assert SECRET not in run.text


def test_a_render_whose_videojob_is_gone_ends_early(
    start: Start, make_request: MakeRequest, api: RecordingApi, stored: S3Client, model_folder: Path
) -> None:
    api.answers = [404] * 100
    run = start(make_request(source=str(model_folder)), VIDEOJOB_POD_NAME="squirrel-gone")
    assert run.wait() == 1, run.text
    assert "404" in run.last_words["message"]
    assert len(api.requests) == 1
    assert keys(stored, "squirrel-gone") == []


def test_a_wrong_endpoint_of_s3_is_told_before_anything_is_loaded(
    start: Start, make_request: MakeRequest, api: RecordingApi, model_folder: Path
) -> None:
    run = start(make_request(source=str(model_folder)), AWS_ENDPOINT_URL_S3="not-a-url")
    assert run.wait() == 1, run.text
    assert run.last_words["reason"] == "StorageUnavailable"
    assert "not-a-url" in run.last_words["message"]
    assert {progress["stage"] for progress in api.progress} == {"Loading"}


def test_an_image_becomes_a_video(
    start: Start, make_request: MakeRequest, api: RecordingApi, stored: S3Client, tmp_path: Path
) -> None:
    make_tiny(tmp_path / "model", Family.COGVIDEOX_5B_I2V)
    picture = io.BytesIO()
    Image.linear_gradient("L").save(picture, "PNG")
    stored.put_object(Bucket="videos", Key="inputs/studio/first.png", Body=picture.getvalue())
    request = make_request(
        family=Family.COGVIDEOX_5B_I2V,
        source=str(tmp_path / "model"),
        image="s3://videos/inputs/studio/first.png",
        width=96,
        height=64,
    )
    run = start(request, VIDEOJOB_POD_NAME="squirrel-image")
    assert run.wait() == 0, run.text
    video = api.statuses[-1]["artifacts"]["video"]
    assert (video["width"], video["height"], video["frames"]) == (96, 64, 9)


def test_an_image_that_is_not_there_is_told_before_anything_is_loaded(
    start: Start, make_request: MakeRequest, api: RecordingApi
) -> None:
    run = start(make_request(family=Family.COGVIDEOX_5B_I2V, image="s3://videos/inputs/studio/none.png"))
    assert run.wait() == 64, run.text
    assert run.last_words == {
        "reason": "InvalidRequest",
        "message": "image: there is no s3://videos/inputs/studio/none.png",
    }
    assert {progress["stage"] for progress in api.progress} == {"Loading"}
