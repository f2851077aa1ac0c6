"""What is asked for once comes once, and what is asked for again is the same."""

import asyncio
import json

import pytest
from cluster import Cluster
from playwright.async_api import Page, Route, expect
from tests.api.page.conftest import MARKS, image, named, stop_the_clock, submit

pytestmark = MARKS

CARDS = ".card"


async def test_the_shortcut_asks_once_however_often_and_long_it_is_pressed(page: Page, cluster: Cluster) -> None:
    asked: list[str] = []
    may_go = asyncio.Event()

    async def hold(route: Route) -> None:
        asked.append(json.loads(route.request.post_data or "")["prompt"])
        await may_go.wait()
        await route.continue_()

    await page.route("**/generate", hold)
    prompt = page.get_by_label("Prompt", exact=True)
    await prompt.fill("one")
    await page.keyboard.down("Control")
    async with page.expect_request("**/generate"):
        await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    may_go.set()
    await expect(page.locator(CARDS)).to_have_count(1)
    await prompt.fill("two")
    for _ in range(3):
        await page.keyboard.down("Enter")
        await expect(page.locator("#submit")).to_be_enabled()
    await expect(page.locator(CARDS)).to_have_count(2)
    await page.keyboard.up("Enter")
    await prompt.fill("three")
    await page.keyboard.press("Enter")
    await expect(page.locator(CARDS)).to_have_count(3)
    assert asked == ["one", "two", "three"]
    assert len(cluster.all()) == 3


@pytest.mark.parametrize("model", ["CogVideoX-tiny", "CogVideoX-tiny-I2V"], ids=["a prompt", "a prompt and an image"])
async def test_a_video_whose_answer_was_lost_may_be_asked_for_again(model: str, page: Page, cluster: Cluster) -> None:
    await page.get_by_label("Model", exact=True).select_option(model)
    if "I2V" in model:
        await page.get_by_label("First frame", exact=True).set_input_files(named("frame.png", image("PNG")))
        await expect(page.locator("#image-name")).to_be_visible()

    async def lose_the_answer(route: Route) -> None:
        assert (await route.fetch()).ok
        await route.abort()

    await page.route(lambda url: url.endswith(("/generate", "/v1/videos")), lose_the_answer, times=1)
    await submit(page, "a squirrel")
    await expect(page.locator("#form-error")).to_have_text(
        "The service does not answer. Press again: there will be one video of it, not two."
    )
    assert len(cluster.all()) == 1
    await page.get_by_role("button", name="Make the video").click()
    await expect(page.locator("#announce")).to_have_text("Your video was in line already.")
    assert len(cluster.all()) == 1
    await page.get_by_role("button", name="Make the video").click()
    await expect(page.locator("#announce")).to_have_text("Your video is in line.")
    assert len(cluster.all()) == 2


async def test_another_form_is_another_video_though_an_answer_was_lost(page: Page, cluster: Cluster) -> None:
    async def lose_the_answer(route: Route) -> None:
        await route.fetch()
        await route.abort()

    await page.route("**/generate", lose_the_answer, times=1)
    await submit(page, "a squirrel")
    await expect(page.locator("#form-error")).to_be_visible()
    await submit(page, "a cat")
    await expect(page.locator(CARDS)).to_have_count(2)
    assert {job["spec"]["request"]["prompt"] for job in cluster.all()} == {"a squirrel", "a cat"}


async def test_that_something_is_tried_again_is_said_of_what_is(page: Page, cluster: Cluster) -> None:
    cluster.create("waiting")
    await page.clock.install()
    await page.reload()
    await expect(page.locator(CARDS)).to_be_visible()
    await stop_the_clock(page)
    await page.route("**/jobs/waiting/cancel", lambda route: route.abort())
    await page.locator(CARDS).get_by_role("button", name="Cancel").click()
    await expect(page.locator(".flash")).to_have_text("The service does not answer.")
    await page.route("**/jobs?*", lambda route: route.abort())
    await page.get_by_label("Show", exact=True).select_option("pending")
    await expect(page.locator("#stale")).to_have_text(
        "The service does not answer. It is tried again; what you see may be old."
    )


async def test_a_new_job_is_waited_for_where_a_replica_has_not_heard_of_it(page: Page) -> None:
    async def know_of_none(route: Route) -> None:
        body = await (await route.fetch()).json()
        told = {"X-Videojob-Stale-Seconds": f"{len(body['jobs'])}00"}
        await route.fulfill(headers=told, json=body | {"jobs": []})

    await page.clock.install()
    await page.reload()
    await expect(page.get_by_text("Nothing here yet")).to_be_visible()
    await stop_the_clock(page)
    await page.route("**/jobs?*", know_of_none)
    await submit(page, "a squirrel")
    await expect(page.locator("#stale")).to_contain_text("100 s ago")
    await page.unroute("**/jobs?*")
    await page.clock.run_for(2000)
    await expect(page.locator(CARDS)).to_contain_text("a squirrel")


async def test_again_keeps_model_and_profile(page: Page, cluster: Cluster) -> None:
    cluster.create("before", spec={"profile": "fast"}, width=720, height=480)
    cluster.patch("before", {"status": {"phase": "Pending", "resolved": {"model": "CogVideoX-2b"}}}, "/status")
    await page.get_by_label("Model", exact=True).select_option("CogVideoX1.5-5B")
    await page.reload()
    await expect(page.locator(CARDS)).to_contain_text("profile fast")
    await page.locator(CARDS).get_by_role("button", name="Again, same seed").click()
    await expect(page.get_by_label("Model", exact=True)).to_have_value("CogVideoX-2b")
    await expect(page.locator("#profile")).to_contain_text("With the profile fast")
    await page.get_by_role("button", name="Make the video").click()
    await expect(page.locator(CARDS)).to_have_count(2)
    await page.get_by_role("button", name="use the default").click()
    await expect(page.locator("#profile")).to_be_hidden()
    await page.get_by_role("button", name="Make the video").click()
    await expect(page.locator(CARDS)).to_have_count(3)
    made = [(job["spec"]["request"].get("model"), job["spec"].get("profile", "default")) for job in cluster.all()]
    assert sorted(made, key=str) == [("CogVideoX-2b", "default"), ("CogVideoX-2b", "fast"), (None, "fast")]


async def test_a_model_that_is_offered_no_more_is_named(page: Page, cluster: Cluster) -> None:
    cluster.create("before", model="long-gone")
    await page.reload()
    await page.locator(CARDS).get_by_role("button", name="Again, same seed").click()
    await expect(page.locator("#model-note")).to_have_text("long-gone is not offered any more.")
    await page.get_by_label("Model", exact=True).select_option("CogVideoX-2b")
    await expect(page.locator("#model-note")).to_be_hidden()
