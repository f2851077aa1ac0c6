"""The official openai client, unmodified, against the service: it must find what it expects of OpenAI's."""

import asyncio
import base64
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, Literal

import httpx
import openai
import pytest
from cluster import Cluster
from types_boto3_s3 import S3Client

from videojob_api.openai.images import MAX_IMAGE_BYTES

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning"),
]

PROMPT = "Ein Eichhörnchen 🐿 on a skateboard\nin Times Square"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
VIDEO = bytes(range(256)) * 1024


@pytest.fixture
def client(live: str) -> Iterator[openai.OpenAI]:
    """The client as a user would make it, but for the address."""
    with openai.OpenAI(base_url=f"{live}/v1", api_key="unused") as client:
        yield client


def data_url(image: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(image).decode()}"


def spec_of(cluster: Cluster, name: str) -> dict[str, Any]:
    job = cluster.get(name)
    assert job
    spec: dict[str, Any] = job["spec"]
    return spec


def once_there(cluster: Cluster, act: Callable[[str], Any]) -> threading.Thread:
    """Act, in a thread, on the first job of the namespace when it is there and somebody may have looked at it."""

    def run() -> None:
        while not (jobs := cluster.all()):
            time.sleep(0.1)
        act(jobs[0]["metadata"]["name"])

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_create_sends_every_field_into_the_videojob(client: openai.OpenAI, cluster: Cluster) -> None:
    extra = {
        "fps": 12,
        "steps": 30,
        "guidance_scale": 4.5,
        "seed": 2**63 - 1,
        "negative_prompt": "blurry",
        "profile": "h100",
        "webhook": {"url": "https://example.com/hook"},
    }
    video = client.videos.create(
        prompt=PROMPT,
        model="CogVideoX1.5-5B",
        seconds="8",
        size="1280x720",
        extra_body=extra,
    )
    assert (video.object, video.status, video.progress, video.error) == ("video", "queued", 0, None)
    assert (video.model, video.seconds, video.size, video.prompt) == ("CogVideoX1.5-5B", "8", "1280x720", PROMPT)
    assert abs(video.created_at - time.time()) < 3600
    assert spec_of(cluster, video.id) | {"backoffLimit": 3, "cancel": False, "suspend": False} == {
        "request": {
            "prompt": PROMPT,
            "model": "CogVideoX1.5-5B",
            "numFrames": 97,
            "width": 1280,
            "height": 720,
            "fps": 12,
            "steps": 30,
            "guidanceScale": 4.5,
            "seed": 2**63 - 1,
            "negativePrompt": "blurry",
        },
        "profile": "h100",
        "webhook": {"url": "https://example.com/hook"},
        "backoffLimit": 3,
        "cancel": False,
        "suspend": False,
    }
    assert client.videos.retrieve(video.id) == video


def test_num_frames_and_n_pass_through_extra_body(client: openai.OpenAI, cluster: Cluster) -> None:
    video = client.videos.create(prompt=PROMPT, extra_body={"num_frames": 17, "n": 2, "seed": 5})
    batch = video.to_dict()["batch"]
    assert batch == [video.id, f"{video.id}-2"]
    assert [spec_of(cluster, name)["request"]["seed"] for name in batch] == [5, 6]  # type: ignore[union-attr]
    assert video.to_dict()["num_frames"] == 17
    for later in (*map(client.videos.retrieve, batch), *client.videos.list()):  # type: ignore[arg-type]
        assert later.to_dict()["batch"] == batch
    client.videos.delete(video.id)
    assert client.videos.retrieve(f"{video.id}-2").to_dict()["batch"] == [f"{video.id}-2"]


def test_create_and_poll_and_download(
    client: openai.OpenAI, cluster: Cluster, finish: Callable[..., str], tmp_path: Any
) -> None:
    thread = once_there(cluster, lambda name: finish(name, VIDEO))
    video = client.videos.create_and_poll(prompt=PROMPT)
    thread.join()
    assert (video.status, video.progress) == ("completed", 100)
    content = client.videos.download_content(video.id)
    content.write_to_file(tmp_path / "video.mp4")
    assert (tmp_path / "video.mp4").read_bytes() == VIDEO
    assert content.response.headers["content-type"] == "video/mp4"
    with client.videos.with_streaming_response.download_content(video.id, variant="video") as streamed:
        assert b"".join(streamed.iter_bytes()) == VIDEO


def test_the_async_client_gets_the_same(live: str, cluster: Cluster, finish: Callable[..., str]) -> None:
    async def use() -> None:
        async with openai.AsyncOpenAI(base_url=f"{live}/v1", api_key="unused") as client:
            video = await client.videos.create_and_poll(prompt=PROMPT, poll_interval_ms=200)
            assert video.status == "completed"
            assert (await client.videos.download_content(video.id)).content == VIDEO
            remix = await client.videos.remix(video.id, prompt="the same by night")
            assert remix.remixed_from_video_id == video.id
            listed = [each.id async for each in client.videos.list(limit=1)]
            assert sorted(listed) == sorted([remix.id, video.id])  # made in one second, they come in the order of names
            assert (await client.videos.delete(remix.id)).deleted
            assert (await client.models.list()).data[0].id == "CogVideoX-tiny"

    thread = once_there(cluster, lambda name: finish(name, VIDEO))
    asyncio.run(use())
    thread.join()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ({"phase": "Failed", "reason": "OutOfMemory", "message": "the GPU ran out of memory"}, "OutOfMemory"),
        ({"phase": "Cancelled", "reason": "Cancelled", "message": "the job was cancelled"}, "cancelled"),
    ],
)
def test_polling_ends_when_the_job_has_failed(
    status: dict[str, str], code: str, client: openai.OpenAI, cluster: Cluster
) -> None:
    thread = once_there(cluster, lambda name: cluster.patch(name, {"status": status}, "/status"))
    video = client.videos.create_and_poll(prompt=PROMPT)
    thread.join()
    assert video.status == "failed"
    assert video.error
    assert (video.error.code, video.error.message) == (code, status["message"])


def test_a_look_at_a_job_tells_when_to_look_again(client: openai.OpenAI, job_id: str) -> None:
    raw = client.videos.with_raw_response.retrieve(job_id)
    assert 100 <= int(raw.headers["openai-poll-after-ms"]) <= 10_000


def test_the_list_goes_through_all_pages_in_both_orders(client: openai.OpenAI, cluster: Cluster) -> None:
    for number in range(5):
        cluster.create(f"job-{number}")
    first = client.videos.list(limit=2, order="asc")
    assert (first.has_more, first.last_id, first.to_dict()["first_id"]) == (True, "job-1", "job-0")
    upwards = [video.id for video in client.videos.list(limit=2, order="asc")]
    assert sorted(upwards) == [f"job-{number}" for number in range(5)]
    assert [video.id for video in client.videos.list(limit=2)] == upwards[::-1]
    assert [video.id for video in client.videos.list(after=upwards[2], order="asc")] == upwards[3:]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_all_videos_are_deleted_while_the_list_goes_on(
    order: Literal["asc", "desc"], client: openai.OpenAI, cluster: Cluster
) -> None:
    for number in range(5):
        cluster.create(f"job-{number}")
    for video in client.videos.list(limit=2, order=order):
        client.videos.delete(video.id)
    assert cluster.all() == []


def test_other_files_of_a_video_are_downloaded(
    client: openai.OpenAI, cluster: Cluster, s3: S3Client, bucket: str, job_id: str, finish: Callable[..., str]
) -> None:
    folder = finish(job_id, VIDEO).rpartition("/")[0]
    artifacts = {}
    for variant, name in (("thumbnail", "thumbnail.jpg"), ("spritesheet", "spritesheet.webp")):
        s3.put_object(Bucket=bucket, Key=f"{folder}/{name}", Body=variant.encode(), ContentType="text/html")
        artifacts[variant] = {"uri": f"s3://{bucket}/{folder}/{name}"}
    cluster.patch(job_id, {"status": {"artifacts": artifacts}}, "/status")
    thumbnail = client.videos.download_content(job_id, variant="thumbnail")
    assert thumbnail.content == b"thumbnail"
    assert thumbnail.response.headers["content-type"] == "image/jpeg"
    assert thumbnail.response.headers["content-disposition"] == f'inline; filename="{job_id}-thumbnail.jpg"'
    spritesheet = client.videos.download_content(job_id, variant="spritesheet")
    assert spritesheet.content == b"spritesheet"
    assert spritesheet.response.headers["content-type"] == "image/webp"
    with pytest.raises(openai.BadRequestError) as caught:
        client.videos.download_content(job_id, variant="poster")  # type: ignore[arg-type]
    assert caught.value.param == "variant"


def test_the_content_of_an_unfinished_video_is_told_at_once(client: openai.OpenAI, job_id: str) -> None:
    with pytest.raises(openai.ConflictError) as caught:
        client.videos.download_content(job_id)
    assert caught.value.code == "VideoNotReady"
    assert caught.value.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("reference", [("cat.png", PNG, "image/png"), PNG, ("cat.txt", BytesIO(PNG), "text/plain")])
def test_an_image_goes_to_s3_under_its_checksum(
    reference: Any, client: openai.OpenAI, cluster: Cluster, s3: S3Client, bucket: str
) -> None:
    video = client.videos.create(prompt=PROMPT, model="CogVideoX-tiny-I2V", input_reference=reference)
    key = f"inputs/{cluster.namespace}/{hashlib.sha256(PNG).hexdigest()}"
    assert spec_of(cluster, video.id)["request"]["image"] == f"s3://{bucket}/{key}"
    stored = s3.get_object(Bucket=bucket, Key=key)
    assert (stored["Body"].read(), stored["ContentType"]) == (PNG, "image/png")


@pytest.mark.parametrize(
    ("url", "status"),
    [
        (data_url(PNG), 200),
        ("data:image/png;base64,aGVsbG8=", 400),
        ("https://example.com/cat.png", 400),
        ("file:///etc/passwd", 400),
    ],
)
def test_an_image_may_be_a_data_url(
    url: str, status: int, live: str, cluster: Cluster, s3: S3Client, bucket: str
) -> None:
    body: dict[str, Any] = {"prompt": PROMPT, "model": "CogVideoX-tiny-I2V"}
    fields = {**body, "input_reference[image_url]": url}
    as_json = httpx.post(f"{live}/v1/videos", timeout=60, json=body | {"input_reference": {"image_url": url}})
    as_form = httpx.post(f"{live}/v1/videos", timeout=60, files={name: (None, text) for name, text in fields.items()})
    for answer in (as_json, as_form):
        assert answer.status_code == status, answer.text
        if status == 200:
            key = f"inputs/{cluster.namespace}/{hashlib.sha256(PNG).hexdigest()}"
            assert spec_of(cluster, answer.json()["id"])["request"]["image"] == f"s3://{bucket}/{key}"
            assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == len(PNG)
        else:
            assert answer.json()["error"]["param"] == "input_reference"


@pytest.mark.parametrize(
    ("model", "reference", "error", "param"),
    [
        ("CogVideoX-tiny", PNG, openai.BadRequestError, "input_reference"),
        ("CogVideoX-tiny-I2V", b"GIF89a", openai.BadRequestError, "input_reference"),
        ("CogVideoX-tiny-I2V", PNG + bytes(8 * 2**20), openai.APIStatusError, "input_reference"),
        ("CogVideoX-tiny-I2V", PNG + bytes(11 * 2**20), openai.APIStatusError, "body"),
    ],
)
def test_a_wrong_image_makes_no_job(
    model: str, reference: bytes, error: Any, param: str, client: openai.OpenAI, cluster: Cluster
) -> None:
    with pytest.raises(error) as caught:
        client.videos.create(prompt=PROMPT, model=model, input_reference=reference)
    assert caught.value.param == param
    assert cluster.all() == []


def test_an_image_in_a_data_url_may_be_as_large_as_a_file(client: openai.OpenAI, cluster: Cluster) -> None:
    image = PNG.ljust(MAX_IMAGE_BYTES, b"\0")

    def create(content: bytes) -> Any:
        reference = {"input_reference": {"image_url": data_url(content)}}
        return client.videos.create(prompt=PROMPT, model="CogVideoX-tiny-I2V", extra_body=reference)

    stored = spec_of(cluster, create(image).id)["request"]["image"]
    assert stored.endswith(hashlib.sha256(image).hexdigest())
    with pytest.raises(openai.APIStatusError) as caught:
        create(image + b"\0")
    assert (caught.value.status_code, caught.value.param) == (413, "input_reference")


def test_a_remix_takes_another_image_in_a_form_and_in_json(
    live: str, client: openai.OpenAI, cluster: Cluster, s3: S3Client, bucket: str
) -> None:
    video = client.videos.create(prompt=PROMPT, model="CogVideoX-tiny-I2V", input_reference=PNG)
    for number, another in enumerate((PNG + b"1", PNG + b"2")):
        if number:
            reference = {"input_reference": {"image_url": data_url(another)}}
            remix = client.videos.remix(video.id, prompt="by night", extra_body=reference).id
        else:
            url, fields = f"{live}/v1/videos/{video.id}/remix", {"prompt": "by night"}
            remix = httpx.post(url, timeout=60, data=fields, files={"input_reference": another}).json()["id"]
        key = f"inputs/{cluster.namespace}/{hashlib.sha256(another).hexdigest()}"
        assert spec_of(cluster, remix)["request"]["image"] == f"s3://{bucket}/{key}"
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == another
    with pytest.raises(openai.BadRequestError) as caught:
        client.videos.remix(video.id, prompt="by night", extra_body={"input_reference": {"image_url": "data:,"}})
    assert caught.value.param == "input_reference"


def test_a_repeated_remix_with_another_image_is_another_request(client: openai.OpenAI) -> None:
    video = client.videos.create(prompt=PROMPT, model="CogVideoX-tiny-I2V", input_reference=PNG)

    def remix(image: bytes) -> str:
        reference = {"input_reference": {"image_url": data_url(image)}}
        once = {"Idempotency-Key": "remix-1"}
        return client.videos.remix(video.id, prompt="by night", extra_body=reference, extra_headers=once).id

    assert remix(PNG + b"1") == remix(PNG + b"1")
    with pytest.raises(openai.ConflictError):
        remix(PNG + b"2")


def test_a_remix_is_a_new_job_of_the_old_request(client: openai.OpenAI, cluster: Cluster) -> None:
    video = client.videos.create(prompt=PROMPT, seconds="2", extra_body={"seed": 7, "profile": "h100"})
    remix = client.videos.remix(video.id, prompt="the same by night")
    assert (remix.remixed_from_video_id, remix.prompt, remix.seconds) == (video.id, "the same by night", "2")
    original, new = spec_of(cluster, video.id), spec_of(cluster, remix.id)
    assert new["request"] == original["request"] | {"prompt": "the same by night"}
    assert new["profile"] == "h100"
    changed = client.videos.remix(video.id, prompt="longer", extra_body={"seconds": "4", "seed": 8})
    assert (changed.seconds, changed.to_dict()["seed"]) == ("4", 8)


def test_a_key_in_the_extra_headers_makes_a_request_repeatable(client: openai.OpenAI, cluster: Cluster) -> None:
    def create(seed: int) -> Any:
        return client.videos.create(
            prompt=PROMPT, extra_body={"seed": seed}, extra_headers={"Idempotency-Key": "order-1"}
        )

    assert create(1).id == create(1).id
    with pytest.raises(openai.ConflictError) as caught:
        create(2)
    assert caught.value.code == "IdempotencyKeyReused"
    assert len(cluster.all()) == 1


def test_errors_have_the_shape_that_the_client_reads(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.videos.create(prompt=PROMPT, extra_body={"num_frames": 50})
    assert (caught.value.code, caught.value.param, caught.value.type) == (
        "InvalidRequest",
        "num_frames",
        "invalid_request_error",
    )
    assert caught.value.body["nearest"] == 49  # type: ignore[index]
    assert caught.value.request_id
    with pytest.raises(openai.BadRequestError) as unknown:
        client.videos.create(prompt=PROMPT, model="sora-2")
    assert unknown.value.code == "UnknownModel"
    for call in (client.videos.retrieve, client.videos.delete, client.videos.download_content):
        with pytest.raises(openai.NotFoundError) as missing:
            call("job-20250914-121030-x7k2p")  # type: ignore[operator]
        assert (missing.value.code, missing.value.param) == ("UnknownJob", "video_id")
    with pytest.raises(openai.BadRequestError) as wrong:
        client.videos.list(after="job-20250914-121030-x7k2p")
    assert wrong.value.param == "after"
