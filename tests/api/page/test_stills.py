"""What the gallery fetches: a still of each video that is near, and the video when somebody plays it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

import pytest
from cluster import Cluster
from playwright.async_api import BrowserContext, Page, Request, expect
from tests.api.conftest import serving
from tests.api.page.conftest import MARKS, image, opened, stop_the_clock
from tests.support.loopback_server import LoopbackServer, Quiet
from types_boto3_s3 import S3Client

from videojob_api.app import create_app
from videojob_api.settings import Delivery, Settings

pytestmark = MARKS

IS_THERE = """(src) => new Promise((told) => {
    const onloadeddata = () => told(true);
    const onerror = () => told(false);
    Object.assign(document.createElement("video"), { onloadeddata, onerror, preload: "auto", src });
})"""


class Unshared(Quiet, BaseHTTPRequestHandler):
    """A storage that has the file, and no CORS rule."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    """A still."""
    return image("JPEG", (90, 60))


@pytest.fixture
def readable_bucket(s3: S3Client, bucket: str) -> Iterator[None]:
    """The bucket lets pages of other origins read what they have a URL of."""
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})  # type: ignore[list-item]
    yield
    s3.delete_bucket_cors(Bucket=bucket)


async def test_a_still_comes_when_its_card_is_near_and_the_video_when_it_is_played(
    page: Page, cluster: Cluster, finish: Callable[..., str], mp4: bytes, jpeg: bytes
) -> None:
    cluster.create("far", prompt="a steam train")
    finish("far", mp4, jpeg)
    asked: list[str] = []

    def note(request: Request) -> None:
        if "content" in request.url or "/video/" in request.url:
            asked.append(request.url)

    page.on("request", note)
    await page.set_viewport_size({"width": 360, "height": 200})
    await page.reload()
    video = page.locator(".card video")
    await expect(video).to_have_attribute("preload", "none")
    await page.evaluate("new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen)))")
    assert asked == []
    async with page.expect_response("**/v1/videos/far/content?variant=thumbnail") as answered:
        await page.locator(".card").scroll_into_view_if_needed()
    assert await (await answered.value).body() == jpeg
    await expect(video).to_have_attribute("poster", "v1/videos/far/content?variant=thumbnail")
    assert not any("/video/" in url for url in asked)
    await page.get_by_role("button", name="Play: a steam train").press("Enter")
    await page.wait_for_function("() => document.querySelector('video').currentTime > 0")
    await expect(video).to_be_focused()
    assert any("/video/" in url for url in asked)


async def test_why_a_video_cannot_be_played_is_said(
    page: Page, cluster: Cluster, finish: Callable[..., str], s3: S3Client, bucket: str, mp4: bytes
) -> None:
    cluster.create("gone", prompt="gone")
    s3.delete_object(Bucket=bucket, Key=finish("gone", mp4))
    cluster.create("odd", prompt="odd")
    finish("odd", b"no MP4 at all")
    await page.reload()
    for name, said in (("gone", "no longer in S3"), ("odd", "This browser cannot play the video")):
        card = page.locator(".card", has=page.locator(f"video[aria-label='{name}']"))
        await card.get_by_role("button", name="Play").click()
        await expect(card.locator(".line")).to_contain_text(said)
        await expect(card.get_by_role("button", name="Play")).to_be_enabled()


async def test_with_keys_stills_are_fetched_with_the_key(
    with_a_key: tuple[Settings, str],
    context: BrowserContext,
    cluster: Cluster,
    finish: Callable[..., str],
    mp4: bytes,
    jpeg: bytes,
) -> None:
    settings, key = with_a_key
    cluster.create("guarded")
    finish("guarded", mp4, jpeg)
    async with opened(context, settings, key) as page:
        video = page.locator(".card video[poster^='blob:']")
        await expect(video).to_be_visible()
        assert await video.get_attribute("src") is None


async def test_where_downloads_are_redirected_to_s3_the_page_may_follow(
    settings: Settings, context: BrowserContext, cluster: Cluster, finish: Callable[..., str], mp4: bytes, jpeg: bytes
) -> None:
    cluster.create("outside")
    finish("outside", mp4, jpeg)
    async with serving(create_app(replace(settings, delivery=Delivery.REDIRECT))) as url:
        page = await context.new_page()
        async with page.expect_response(f"{settings.s3_endpoint}/**") as still:
            await page.goto(url)
        assert (await still.value).status == 200
        await page.get_by_role("button", name="Play").click()
        await page.wait_for_function("() => document.querySelector('video').currentTime > 0")
        await page.close()


@pytest.mark.usefixtures("readable_bucket")
async def test_with_keys_and_redirections_the_bucket_must_let_the_page_read(
    with_a_key: tuple[Settings, str],
    context: BrowserContext,
    cluster: Cluster,
    finish: Callable[..., str],
    mp4: bytes,
    jpeg: bytes,
) -> None:
    settings, key = with_a_key
    cluster.create("both")
    finish("both", mp4, jpeg)
    async with opened(context, replace(settings, delivery=Delivery.REDIRECT), key) as page:
        await expect(page.locator(".card video[poster^='blob:']")).to_be_visible()
        await page.get_by_role("button", name="Play").click()
        await page.wait_for_function("() => document.querySelector('video').currentTime > 0")


async def test_why_a_file_cannot_be_downloaded_with_a_key_is_said(
    with_a_key: tuple[Settings, str],
    context: BrowserContext,
    cluster: Cluster,
    finish: Callable[..., str],
    s3: S3Client,
    bucket: str,
    mp4: bytes,
) -> None:
    settings, key = with_a_key
    cluster.create("lost")
    s3.delete_object(Bucket=bucket, Key=finish("lost", mp4))
    async with opened(context, settings, key, has_clock=True) as page:
        await expect(page.locator(".card")).to_be_visible()
        await stop_the_clock(page)
        await page.get_by_role("button", name="Download").click()
        await expect(page.locator(".flash")).to_contain_text("no longer in S3")


async def test_a_storage_that_lets_no_page_read_is_told_from_a_service_that_is_away(
    with_a_key: tuple[Settings, str], context: BrowserContext, cluster: Cluster, finish: Callable[..., str], mp4: bytes
) -> None:
    settings, key = with_a_key
    cluster.create("both")
    finish("both", mp4)
    with LoopbackServer(Unshared) as storage:
        redirected = replace(settings, delivery=Delivery.REDIRECT, public_s3_endpoint=storage.endpoint)
        async with opened(context, redirected, key) as page:
            await page.get_by_role("button", name="Play").click()
            await expect(page.locator(".line")).to_contain_text("must let this page read them (a CORS rule)")
            await page.route(re.compile("/healthz|/video/"), lambda route: route.abort())
            await page.get_by_role("button", name="Play").click()
            await expect(page.locator(".line")).to_have_text("The service does not answer.")


async def test_a_video_that_was_downloaded_with_a_key_is_let_go(
    with_a_key: tuple[Settings, str], context: BrowserContext, cluster: Cluster, finish: Callable[..., str], mp4: bytes
) -> None:
    settings, key = with_a_key
    cluster.create("kept")
    finish("kept", mp4)
    async with opened(context, settings, key, has_clock=True) as page:
        async with page.expect_download() as downloading:
            await page.get_by_role("button", name="Download").click()
        download = await downloading.value
        assert download.suggested_filename == "kept.mp4"
        assert (await download.path()).read_bytes() == mp4
        assert await page.evaluate(IS_THERE, download.url)
        await page.clock.fast_forward(120_000)
        assert not await page.evaluate(IS_THERE, download.url)
