"""A real browser for the tests of the page at `/`. Debian: apt-get install chromium (`make browser`)."""

import io
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import imageio_ffmpeg
import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Browser, BrowserContext, FilePayload, Page, async_playwright, expect
from tests.api.conftest import keyed, serving

from videojob_api.app import create_app
from videojob_api.settings import Settings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

MARKS = [
    pytest.mark.cluster,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        CHROMIUM is None, reason="no chromium on PATH: run `make browser` (Debian: apt-get install chromium)"
    ),
]
"""Of every module of tests of the page."""

SAID_BY_THE_BROWSER = ("Failed to load resource", "has been blocked by CORS policy")
"""In the console, of answers that are errors."""

expect.set_options(timeout=120_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Chromium, as Debian packs it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A fresh profile, whose pages may not say a word in the console."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    complaints: list[str] = []
    context.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.set_default_timeout(120_000)
    yield context
    await context.close()
    assert [text for text in complaints if not any(each in text for each in SAID_BY_THE_BROWSER)] == []


@pytest_asyncio.fixture(loop_scope="module")
async def url(settings: Settings) -> AsyncIterator[str]:
    """URL of an API without keys."""
    async with serving(create_app(settings)) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def page(context: BrowserContext, url: str) -> Page:
    """The page, ready for input."""
    page = await context.new_page()
    await page.goto(url)
    await expect(page.locator("#model option")).not_to_have_count(0)
    return page


@pytest.fixture(scope="module")
def mp4() -> bytes:
    """A second of moving colours, as a browser plays it."""
    source = ["-f", "lavfi", "-i", "testsrc2=size=360x240:rate=8:duration=1"]
    target = ["-pix_fmt", "yuv420p", "-movflags", "frag_keyframe+empty_moov", "-f", "mp4", "-"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *source, *target]
    return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.fixture
def with_a_key(settings: Settings, tmp_path: Path) -> tuple[Settings, str]:
    """Settings that let one key in, and the key."""
    return keyed(settings, tmp_path, "studio")


async def submit(page: Page, prompt: str) -> None:
    """Ask for a video."""
    await page.get_by_label("Prompt", exact=True).fill(prompt)
    await page.get_by_role("button", name="Make the video").click()


async def stop_the_clock(page: Page) -> None:
    """Let no timer of the page fire any more, but by hand: a word that is shown for seconds stays."""
    await page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))


async def give_key(page: Page, key: str) -> None:
    """Answer the page that asks for a key."""
    await page.get_by_label("API key", exact=True).fill(key)
    await page.get_by_role("button", name="Use this key").click()


@asynccontextmanager
async def opened(
    context: BrowserContext, settings: Settings, key: str, *, has_clock: bool = False
) -> AsyncIterator[Page]:
    """The page of an API with these settings, opened with a key; with a clock that a test may stop or turn."""
    async with serving(create_app(settings)) as url:
        page = await context.new_page()
        if has_clock:
            await page.clock.install()
        await page.goto(url)
        await give_key(page, key)
        yield page
        await page.close()


def image(kind: str, size: tuple[int, int] = (96, 64)) -> bytes:
    """An image file."""
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, kind)
    return file.getvalue()


def named(name: str, content: bytes) -> FilePayload:
    """A file as one chooses it."""
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}
