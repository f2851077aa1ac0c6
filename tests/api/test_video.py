"""Downloads on the real S3 server."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import psutil
import pytest
from cluster import Cluster
from types_boto3_s3 import S3Client

from videojob_api.settings import Delivery, Settings
from videojob_local.ports import free_port

pytestmark = pytest.mark.cluster

VIDEO = bytes(range(256)) * 4096  # 1 MiB
MIB = 1024 * 1024


@pytest.fixture
def done(job_id: str, finish: Callable[..., str]) -> str:
    """A job whose video is VIDEO."""
    finish(job_id, VIDEO)
    return job_id


async def test_a_finished_video_is_downloaded_whole(api: httpx.AsyncClient, done: str) -> None:
    status = (await api.get(f"/status/{done}")).json()
    assert status["status"] == "completed"
    answer = await api.get(status["video_url"])
    assert answer.status_code == 200
    assert answer.content == VIDEO
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-length"] == str(len(VIDEO))
    assert answer.headers["content-disposition"] == f'inline; filename="{done}.mp4"'
    assert answer.headers["accept-ranges"] == "bytes"


async def test_head_tells_size_and_version_without_the_video(api: httpx.AsyncClient, done: str) -> None:
    head = await api.head(f"/video/{done}")
    whole = await api.get(f"/video/{done}")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "accept-ranges", "content-disposition"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    ("asked", "part", "content_range"),
    [
        ("bytes=0-99", VIDEO[:100], "bytes 0-99/1048576"),
        ("bytes=1048000-", VIDEO[1048000:], "bytes 1048000-1048575/1048576"),
        ("bytes=-10", VIDEO[-10:], "bytes 1048566-1048575/1048576"),
    ],
)
async def test_a_part_is_downloaded(
    asked: str, part: bytes, content_range: str, api: httpx.AsyncClient, done: str
) -> None:
    answer = await api.get(f"/video/{done}", headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == part
    assert answer.headers["content-range"] == content_range
    assert answer.headers["content-length"] == str(len(part))


async def test_bytes_beyond_the_end_are_416(api: httpx.AsyncClient, done: str) -> None:
    answer = await api.get(f"/video/{done}", headers={"Range": "bytes=2000000-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */1048576"
    assert answer.json()["error"]["code"] == "RangeNotSatisfiable"


async def test_a_video_the_client_has_is_not_sent_again(api: httpx.AsyncClient, done: str) -> None:
    etag = (await api.head(f"/video/{done}")).headers["etag"]
    answer = await api.get(f"/video/{done}", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")


async def test_an_unfinished_video_is_409_with_the_status(
    api: httpx.AsyncClient, cluster: Cluster, job_id: str
) -> None:
    answer = await api.get(f"/video/{job_id}")
    assert answer.status_code == 409
    assert "pending" in answer.json()["error"]["message"]
    progress = {
        "stage": "Denoising",
        "percent": 42,
        "updatedTime": "2025-09-14T12:10:30Z",
        "podName": "a-job-x",
    }
    cluster.patch(job_id, {"status": {"phase": "Running", "progress": progress}}, "/status")
    error = (await api.get(f"/video/{job_id}")).json()["error"]
    assert error["code"] == "VideoNotReady"
    assert error["message"] == "the job is processing (Running, 42 %)"


async def test_the_video_of_a_failed_job_is_409_with_the_reason(
    api: httpx.AsyncClient, cluster: Cluster, job_id: str
) -> None:
    failed = {"phase": "Failed", "reason": "OutOfMemory", "message": "the GPU ran out of memory"}
    cluster.patch(job_id, {"status": failed}, "/status")
    answer = await api.get(f"/video/{job_id}")
    assert answer.status_code == 409
    error = answer.json()["error"]
    assert (error["code"], error["message"]) == ("OutOfMemory", "the job has failed: the GPU ran out of memory")


async def test_a_video_that_was_removed_from_s3_is_410(
    api: httpx.AsyncClient, s3: S3Client, bucket: str, job_id: str, finish: Callable[..., str]
) -> None:
    s3.delete_object(Bucket=bucket, Key=finish(job_id, VIDEO))
    for answer in (await api.get(f"/video/{job_id}"), await api.get(f"/video/{job_id}", headers={"Range": "bytes=0-"})):
        assert answer.status_code == 410
        assert answer.json()["error"]["code"] == "VideoGone"


async def test_a_record_that_names_a_foreign_object_is_not_followed(
    api: httpx.AsyncClient, cluster: Cluster, s3: S3Client, bucket: str, job_id: str
) -> None:
    s3.put_object(Bucket=bucket, Key="secret", Body=b"of somebody else")
    artifacts = {"video": {"uri": f"s3://{bucket}/secret"}}
    cluster.patch(job_id, {"status": {"phase": "Succeeded", "artifacts": artifacts}}, "/status")
    answer = await api.get(f"/video/{job_id}")
    assert answer.status_code == 410
    assert b"somebody" not in answer.content


async def test_without_s3_a_download_is_503_and_the_service_is_not_ready(
    settings: Settings, open_client: Any, done: str
) -> None:
    away = replace(settings, s3_endpoint=f"http://127.0.0.1:{free_port()}")
    async with open_client(away) as client:
        for path in (f"/video/{done}", "/readyz"):
            answer = await client.get(path)
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "StorageUnavailable"
            assert int(answer.headers["retry-after"]) > 0
        assert (await client.get(f"/status/{done}")).status_code == 200


async def test_without_the_bucket_the_service_is_not_ready(settings: Settings, open_client: Any) -> None:
    async with open_client(replace(settings, bucket="nothing-here")) as client:
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert "nothing-here" in answer.json()["error"]["message"]


async def test_by_configuration_a_download_is_redirected_to_s3(settings: Settings, open_client: Any, done: str) -> None:
    redirecting = replace(settings, delivery=Delivery.REDIRECT, presigned_seconds=60)
    async with open_client(redirecting) as client, httpx.AsyncClient() as elsewhere:
        for path in (f"/video/{done}", f"/v1/videos/{done}/content"):
            answer = await client.get(path)
            assert (answer.status_code, answer.content) == (307, b"")
            assert answer.headers["cache-control"] == "no-store"
            location = answer.headers["location"]
            assert location.startswith(f"{settings.s3_endpoint}/{settings.bucket}/")
            assert "X-Amz-Expires=60&" in location
            whole = await elsewhere.get(location)
            assert (whole.status_code, whole.content) == (200, VIDEO)
            assert whole.headers["content-type"] == "video/mp4"
            assert whole.headers["content-disposition"] == f'inline; filename="{done}.mp4"'
            part = await elsewhere.get(location, headers={"Range": "bytes=5-9"})
            assert (part.status_code, part.content) == (206, VIDEO[5:10])
            head = await client.head(path)
            assert (head.status_code, head.headers["content-length"]) == (200, str(len(VIDEO)))
            same = await client.get(path, headers={"If-None-Match": head.headers["etag"]})
            assert same.status_code == 304


async def test_a_redirection_names_the_address_that_clients_reach(
    settings: Settings, open_client: Any, s3: S3Client, bucket: str, job_id: str, finish: Callable[..., str]
) -> None:
    key = finish(job_id, VIDEO)
    outside = {"delivery": Delivery.REDIRECT, "public_s3_endpoint": "https://s3.example.com"}
    async with open_client(replace(settings, **outside)) as client:
        answer = await client.get(f"/video/{job_id}")
        assert answer.headers["location"].startswith(f"https://s3.example.com/{bucket}/")
        s3.delete_object(Bucket=bucket, Key=key)
        assert (await client.get(f"/video/{job_id}")).status_code == 410


async def test_an_interrupted_download_goes_on_only_with_the_same_video(
    api: httpx.AsyncClient, job_id: str, finish: Callable[..., str]
) -> None:
    finish(job_id, VIDEO)
    etag = (await api.head(f"/video/{job_id}")).headers["etag"]
    rest = {"Range": "bytes=1000-"}
    same = await api.get(f"/video/{job_id}", headers=rest | {"If-Range": etag})
    other = await api.get(f"/video/{job_id}", headers=rest | {"If-Range": '"another"'})
    assert (same.status_code, same.content) == (206, VIDEO[1000:])
    assert (other.status_code, other.content) == (200, VIDEO)


def test_a_hundred_downloads_at_once_need_little_memory(server: Any, job_id: str, finish: Callable[..., str]) -> None:
    finish(job_id, VIDEO * 50)
    process = psutil.Process(server.process.pid)
    most = 0

    async def download(client: httpx.AsyncClient, begun: asyncio.Barrier) -> int:
        nonlocal most
        async with client.stream("GET", f"{server.url}/video/{job_id}") as answer:
            pieces = answer.aiter_raw()
            received = len(await anext(pieces))
            await begun.wait()  # all of them are under way, and nobody reads: what the service holds now, it holds
            most = max(most, process.memory_info().rss)
            while received < MIB:
                received += len(await anext(pieces))
            most = max(most, process.memory_info().rss)
        return answer.status_code

    async def all_at_once() -> list[int]:
        limits = httpx.Limits(max_connections=100)
        begun = asyncio.Barrier(100)
        async with httpx.AsyncClient(timeout=120, limits=limits) as client:
            return await asyncio.gather(*(download(client, begun) for _ in range(100)))

    assert asyncio.run(all_at_once()) == [200] * 100
    assert most < 200 * MIB


def test_a_large_video_passes_in_constant_memory(server: Any, job_id: str, finish: Callable[..., str]) -> None:
    video = VIDEO * 128
    finish(job_id, video)
    process = psutil.Process(server.process.pid)
    before, most, digest = process.memory_info().rss, 0, hashlib.sha256()
    with httpx.stream("GET", f"{server.url}/video/{job_id}", timeout=60) as answer:
        for number, piece in enumerate(answer.iter_bytes(MIB)):
            digest.update(piece)
            if number % 8 == 0:
                most = max(most, process.memory_info().rss)
    assert digest.digest() == hashlib.sha256(video).digest()
    assert most - before < 40 * MIB


def test_a_client_that_goes_away_leaves_the_service_well(server: Any, job_id: str, finish: Callable[..., str]) -> None:
    finish(job_id, VIDEO * 16)
    for _ in range(20):
        with httpx.stream("GET", f"{server.url}/video/{job_id}") as answer:
            next(answer.iter_bytes(1024))
    assert httpx.get(f"{server.url}/video/{job_id}", headers={"Range": "bytes=0-9"}).content == VIDEO[:10]
    assert not [line for line in server.lines() if line["level"] == "error"]
