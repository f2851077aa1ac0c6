"""The first frame of image-to-video: chosen, looked at, refused and sent in a real browser."""

import hashlib
import re
from typing import Any

import pytest
from cluster import Cluster
from playwright.async_api import BrowserContext, FilePayload, Page, expect
from tests.api.page.conftest import MARKS, image, named, opened, submit
from types_boto3_s3 import S3Client

from videojob_api.openai.images import MAX_IMAGE_BYTES
from videojob_api.settings import Settings

pytestmark = MARKS

MODEL = "CogVideoX-tiny-I2V"
PASTE = """(bytes) => {
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([new Uint8Array(bytes)], "pasted.png", { type: "image/png" }));
    document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
}"""


async def choose(page: Page, file: FilePayload) -> None:
    await page.get_by_label("Model", exact=True).select_option(MODEL)
    await page.get_by_label("First frame", exact=True).set_input_files(file)


async def test_only_a_model_that_takes_an_image_asks_for_one(page: Page, cluster: Cluster) -> None:
    field = page.locator("#image-field")
    await expect(field).to_be_hidden()
    await page.get_by_label("Model", exact=True).select_option(MODEL)
    await expect(field).to_be_visible()
    await expect(field).to_contain_text("PNG, JPEG or WebP, up to 8 MiB")
    await submit(page, "it starts to move")
    await expect(page.get_by_label("First frame", exact=True)).to_be_focused()
    await expect(page.locator("#image-note")).to_contain_text("choose one")
    await page.get_by_label("Model", exact=True).select_option("CogVideoX-2b")
    await expect(field).to_be_hidden()
    await submit(page, "it starts to move")
    await expect(page.locator(".card")).to_have_count(1)
    assert "image" not in cluster.all()[0]["spec"]["request"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP"])
async def test_an_image_is_shown_and_goes_along_byte_for_byte(
    kind: str, page: Page, cluster: Cluster, s3: S3Client, bucket: str
) -> None:
    content = image(kind)
    await choose(page, named("frame.bin", content))
    await expect(page.get_by_alt_text("The first frame")).to_be_visible()
    await expect(page.locator("#image-hint")).to_be_hidden()
    await page.get_by_label("Seed", exact=True).fill("9223372036854775807")
    await submit(page, "a cat\nand “a dog”")
    await expect(page.locator(".card")).to_contain_text("from an image")
    request = cluster.all()[0]["spec"]["request"]
    key = f"inputs/{cluster.namespace}/{hashlib.sha256(content).hexdigest()}"
    assert request["image"] == f"s3://{bucket}/{key}"
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == content
    assert (request["prompt"], request["model"]) == ("a cat\nand “a dog”", MODEL)
    assert (request["seed"], request["numFrames"], request["guidanceScale"]) == (9223372036854775807, 49, 6)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (named("cat.png", b"GIF89a" + bytes(64)), "cat.png: not a PNG, JPEG or WebP image"),
        (named("torn.png", image("PNG")[:8] + bytes(64)), "torn.png: the file is damaged"),
        (
            named("huge.png", image("PNG") + bytes(MAX_IMAGE_BYTES)),
            "huge.png: at most 8 MiB, this file has 8.1 MiB",
        ),
    ],
    ids=["another type", "damaged", "too large"],
)
async def test_a_wrong_file_is_refused_as_one_chooses_it(
    file: FilePayload, said: str, page: Page, cluster: Cluster
) -> None:
    await choose(page, file)
    chooser = page.get_by_label("First frame", exact=True)
    await expect(page.locator("#image-note")).to_have_text(said)
    await expect(page.locator("#announce")).to_have_text(said)
    await expect(chooser).to_have_attribute("aria-invalid", "true")
    await submit(page, "a cat")
    await expect(chooser).to_be_focused()
    await expect(page.locator("#image-note")).to_have_text(said)
    assert cluster.all() == []
    await chooser.set_input_files(named("right.png", image("PNG")))
    await expect(page.locator("#image-note")).to_be_hidden()
    await expect(page.locator("#image-name")).to_contain_text("right.png")


async def test_an_image_of_another_shape_is_shown_as_it_will_be_stretched(page: Page) -> None:
    await choose(page, named("square.png", image("PNG", (300, 300))))
    await expect(page.locator("#image-hint")).to_have_text(
        re.compile("300 . 300 pixels are stretched to the 720 . 480 of the video")
    )
    box: Any = await page.get_by_alt_text("The first frame").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(1.5, abs=0.02)
    await page.get_by_text("More settings").click()
    await page.get_by_label("Width", exact=True).fill("480")
    await expect(page.locator("#image-hint")).to_be_hidden()
    await page.get_by_role("button", name="Remove the image").click()
    await expect(page.get_by_alt_text("The first frame")).to_be_hidden()
    await expect(page.get_by_label("First frame", exact=True)).to_be_focused()


async def test_an_image_may_be_pasted(page: Page) -> None:
    await page.get_by_label("Model", exact=True).select_option(MODEL)
    await page.evaluate(PASTE, list(image("PNG")))
    await expect(page.locator("#image-name")).to_contain_text("pasted.png")
    await expect(page.get_by_alt_text("The first frame")).to_be_visible()


async def test_again_takes_the_same_image_from_s3(page: Page, cluster: Cluster) -> None:
    uri = "s3://elsewhere/frames/first.png"
    cluster.create("before", model=MODEL, image=uri)
    await choose(page, named("other.png", image("PNG")))
    await page.locator(".card").get_by_role("button", name="Again, same seed").click()
    address = page.get_by_label("Address of an image in S3")
    await expect(address).to_have_value(uri)
    await expect(page.locator("#image-name")).to_be_hidden()
    await address.fill("https://elsewhere/first.png")
    await expect(page.locator("#image-address-note")).to_have_text("an address such as s3://bucket/key")
    await address.fill(uri)
    await submit(page, "a cat")
    await expect(page.locator(".card")).to_have_count(2)
    assert [job["spec"]["request"]["image"] for job in cluster.all()] == [uri, uri]


async def test_an_image_is_sent_with_the_key(
    with_a_key: tuple[Settings, str], context: BrowserContext, cluster: Cluster
) -> None:
    settings, key = with_a_key
    async with opened(context, settings, key) as page:
        await expect(page.locator("#model option")).not_to_have_count(0)
        await choose(page, named("frame.png", image("PNG")))
        await submit(page, "a cat")
        await expect(page.locator(".card")).to_contain_text("a cat")
    assert "image" in cluster.all()[0]["spec"]["request"]
