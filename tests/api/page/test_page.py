"""The page at `/` in a real browser, on the real cluster."""

from collections.abc import Callable
from typing import Any

import pytest
from cluster import Cluster
from playwright.async_api import BrowserContext, Page, expect
from tests.api.conftest import serving
from tests.api.page.conftest import MARKS, give_key, submit

from videojob_api.app import create_app
from videojob_api.settings import Settings

pytestmark = MARKS


async def test_from_a_prompt_to_a_playing_video(
    page: Page, cluster: Cluster, finish: Callable[..., str], mp4: bytes
) -> None:
    await expect(page.get_by_text("Nothing here yet")).to_be_visible()
    await page.get_by_label("Seed", exact=True).fill("42")
    await submit(page, "a squirrel <b>on</b> a skateboard")
    card = page.locator(".card")
    await expect(card).to_contain_text("a squirrel <b>on</b> a skateboard")
    await expect(card).to_contain_text("Next in line")
    (job,) = cluster.all()
    assert job["spec"]["request"]["seed"] == 42
    assert job["spec"]["request"]["numFrames"] == 49
    name = job["metadata"]["name"]

    progress = {"stage": "Denoising", "step": 20, "steps": 50, "percent": 40, "etaSeconds": 90, "podName": "p"}
    updated = {"updatedTime": "2100-01-01T00:00:00Z"}
    cluster.patch(name, {"status": {"phase": "Running", "podName": "p", "progress": progress | updated}}, "/status")
    await expect(card.get_by_role("progressbar")).to_have_attribute("value", "40")
    await expect(card).to_contain_text("step 20 of 50")
    finish(name, mp4)
    await expect(card.locator(".badge")).to_have_text("Done")
    await expect(page.locator("#announce")).to_contain_text("Ready")
    await card.get_by_role("button", name="Play: a squirrel").click()
    await page.wait_for_function("() => document.querySelector('video').currentTime > 0")
    async with page.expect_download() as downloading:
        await card.get_by_role("button", name="Download").click()
    assert (await downloading.value).suggested_filename == f"{name}.mp4"


@pytest.mark.parametrize(
    ("field", "typed", "said", "mended"),
    [
        ("num_frames", "50", "in steps of 8 from 9 to 49", "49"),
        ("fps", "99", "a whole number from 1 to 60", "60"),
        ("guidance_scale", "31.5", "a number from 0 to 30", "30"),
        ("width", "100", "in steps of 16 from 64 to 1360", "96"),
        ("steps", "0", "a whole number from 1 to 200", "1"),
    ],
)
async def test_a_value_that_is_not_legal_is_told_as_one_types_and_mended_by_one_click(
    field: str, typed: str, said: str, mended: str, page: Page
) -> None:
    await page.get_by_text("More settings").click()
    await page.locator(f"#{field}").fill(typed)
    note = page.locator(f"#{field}-note")
    await expect(note).to_contain_text(said)
    await expect(page.locator(f"#{field}")).to_have_attribute("aria-invalid", "true")
    await submit(page, "a squirrel")
    await expect(page.locator(f"#{field}")).to_be_focused()
    await note.get_by_role("button").click()
    await expect(page.locator(f"#{field}")).to_have_value(mended)
    await expect(note).to_be_hidden()


async def test_each_model_brings_its_own_rules(page: Page) -> None:
    await page.get_by_label("Model", exact=True).select_option("CogVideoX1.5-5B")
    await expect(page.locator("#num_frames")).to_have_value("81")
    await page.locator("#num_frames").fill("49")
    await expect(page.locator("#num_frames-note")).to_be_hidden()
    await page.locator("#num_frames").fill("57")
    await expect(page.locator("#num_frames-note")).to_contain_text("in steps of 16")
    await page.get_by_label("Model", exact=True).select_option("CogVideoX-2b")
    await page.get_by_text("More settings").click()
    await expect(page.locator("#size")).to_have_value("720x480")
    await expect(page.locator("#width")).to_be_hidden()


async def test_a_blank_prompt_is_not_sent(page: Page, cluster: Cluster) -> None:
    await submit(page, "   ")
    await expect(page.get_by_label("Prompt", exact=True)).to_be_focused()
    await expect(page.locator("#prompt-note")).to_be_visible()
    assert cluster.all() == []


async def test_cancel_again_and_delete(page: Page, cluster: Cluster) -> None:
    await page.get_by_label("Seed", exact=True).fill("9223372036854775807")
    await submit(page, "a paper boat")
    card = page.locator(".card")
    await card.get_by_role("button", name="Cancel").click()
    name = cluster.all()[0]["metadata"]["name"]
    await expect(page.locator("#announce")).to_have_text("Cancelling.")
    assert (cluster.get(name) or {})["spec"]["cancel"] is True
    cluster.patch(name, {"status": {"phase": "Cancelled"}}, "/status")
    await expect(card.locator(".badge")).to_have_text("Cancelled")

    await page.get_by_label("Prompt", exact=True).fill("something else")
    await card.get_by_role("button", name="Again, same seed").click()
    await expect(page.get_by_label("Prompt", exact=True)).to_have_value("a paper boat")
    await expect(page.get_by_label("Seed", exact=True)).to_have_value("9223372036854775807")

    await card.get_by_role("button", name="Delete").click()
    await page.get_by_role("button", name="Keep it").click()
    assert cluster.get(name)
    await card.get_by_role("button", name="Delete").click()
    await page.get_by_role("button", name="Delete", exact=True).last.click()
    await expect(card).to_have_count(0)
    assert cluster.get(name) is None


async def test_why_a_job_failed_or_is_stuck_is_said(page: Page, cluster: Cluster) -> None:
    for name, phase, reason, message, hint in (
        ("stuck", "Pending", "Unschedulable", "no node has a free GPU", "add a node, or wait"),
        ("broken", "Failed", "OutOfMemory", "the GPU ran out of memory", "ask for fewer frames"),
        ("fine", "Running", "Rendering", "the renderer is at work", "nothing to do"),
    ):
        cluster.create(name)
        status = {"phase": phase, "reason": reason, "message": message, "hint": hint}
        cluster.patch(name, {"status": status}, "/status")
    await page.reload()
    await expect(page.locator(".trouble:visible")).to_have_text("no node has a free GPU")
    await expect(page.get_by_text("the GPU ran out of memory")).to_be_visible()
    for said, hint in (
        ("no node has a free GPU", "add a node, or wait"),
        ("ran out of memory", "ask for fewer frames"),
    ):
        await expect(page.locator(".card", has_text=said).locator(".advice")).to_have_text(hint)
    await expect(page.locator(".advice:visible")).to_have_count(2)


async def test_a_link_to_one_job_opens_it_and_follows_it(
    context: BrowserContext, url: str, cluster: Cluster, finish: Callable[..., str], mp4: bytes
) -> None:
    cluster.create("shared", prompt="a steam train")
    page = await context.new_page()
    await page.goto(f"{url}/#job=shared")
    viewer = page.get_by_role("dialog")
    await expect(viewer).to_contain_text("a steam train")
    await expect(viewer).to_contain_text("in line")
    finish("shared", mp4)
    await expect(viewer.locator("video")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(viewer).to_be_hidden()
    await expect(page).to_have_url(f"{url}/")
    await page.goto(f"{url}/#job=never-was")
    await expect(viewer).to_contain_text("no such video")


async def test_a_job_that_is_deleted_elsewhere_is_said_to_be(
    context: BrowserContext, url: str, cluster: Cluster
) -> None:
    cluster.create("shared", prompt="a steam train")
    page = await context.new_page()
    await page.goto(f"{url}/#job=shared")
    viewer = page.get_by_role("dialog")
    await expect(viewer).to_contain_text("a steam train")
    cluster.delete("shared")
    await expect(viewer.get_by_role("alert")).to_have_text("This video was deleted.")
    await expect(viewer).not_to_contain_text("a steam train")


async def test_with_keys_the_page_asks_for_one_and_plays_videos_with_it(
    with_a_key: tuple[Settings, str], context: BrowserContext, cluster: Cluster, finish: Callable[..., str], mp4: bytes
) -> None:
    settings, key = with_a_key
    cluster.create("guarded")
    finish("guarded", mp4)
    async with serving(create_app(settings)) as url:
        page = await context.new_page()
        await page.goto(url)
        await give_key(page, "vjk_jX0…")
        await expect(page.get_by_text("That holds characters that no key has")).to_be_visible()
        await give_key(page, "wrong")
        await expect(page.get_by_text("That key was not accepted")).to_be_visible()
        await give_key(page, key)
        await page.get_by_role("button", name="Play").click()
        await page.wait_for_function("() => document.querySelector('video').currentTime > 0")
        assert str(await page.locator(".card video").get_attribute("src")).startswith("blob:")
        assert await page.evaluate("localStorage.length") == 0
        await page.reload()
        await expect(page.locator(".card")).to_have_count(1)
        await page.close()


async def test_everything_is_reached_by_keyboard_and_has_a_name(page: Page) -> None:
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the prompt")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Prompt", exact=True)).to_be_focused()
    await page.keyboard.type("a sunflower")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".card")).to_contain_text("a sunflower")
    unnamed = await page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, textarea, video, progress')]
            .filter((e) => !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).map((e) => e.outerHTML)"""
    )
    assert unnamed == []


@pytest.mark.parametrize("width", [360, 768, 1600])
async def test_the_page_fits_every_width(width: int, page: Page, cluster: Cluster) -> None:
    cluster.create("long", prompt="w" * 400)
    await page.set_viewport_size({"width": width, "height": 800})
    await page.reload()
    await expect(page.locator(".card")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_the_page_needs_no_other_host_and_runs_no_foreign_script(page: Page, url: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer: Any = await page.reload()
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    await expect(page.locator("#model option")).not_to_have_count(0)
    assert asked
    assert all(each.startswith(url) for each in asked)
