"""The OpenAI protocol's words in ours and back, without a service."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojob.catalogue import Catalogue
from videojob.families import FAMILY_DEFAULTS, LONG, SHORT
from videojob_api.errors import BodyTooLarge, InvalidInput
from videojob_api.openai.images import MAX_IMAGE_BYTES, from_data_url, media_type_of, require_size
from videojob_api.openai.requests import order_in_protocol, remix
from videojob_api.openai.rules import seconds_of
from videojob_api.openai.views import video_of

CREATED = "2025-09-14T12:10:30Z"


def asked(catalogue: Catalogue, **body: Any) -> dict[str, Any]:
    """What a body asks for, as the manifest says it."""
    request: dict[str, Any] = order_in_protocol({"prompt": "a squirrel", **body}, catalogue).spec.dump()["request"]
    return request


def mistake(catalogue: Catalogue, **body: Any) -> tuple[str | None, Any]:
    """The field at fault and the nearest legal value."""
    with pytest.raises(InvalidInput) as caught:
        order_in_protocol({"prompt": "a squirrel", **body}, catalogue)
    assert caught.value.message.startswith(str(caught.value.field))
    return caught.value.field, caught.value.nearest


@pytest.mark.parametrize(
    ("body", "frames"),
    [
        ({"seconds": "6"}, 49),
        ({"seconds": "4"}, 33),
        ({"seconds": 4}, 33),
        ({"seconds": "4", "fps": 12}, 49),
        ({"seconds": "12", "fps": 4}, 49),
        ({"seconds": "8", "model": "CogVideoX1.5-5B"}, 129),
        ({"seconds": "2.5"}, 17),
        ({"seconds": 2.6}, 25),
        ({"seconds": "1"}, 9),
    ],
)
def test_seconds_become_the_nearest_legal_number_of_frames(
    body: dict[str, Any], frames: int, catalogue: Catalogue
) -> None:
    assert asked(catalogue, **body)["numFrames"] == frames


@pytest.mark.parametrize(
    ("body", "nearest"),
    [
        ({"seconds": "8"}, "6"),
        ({"seconds": "12", "model": "CogVideoX1.5-5B"}, "10"),
        ({"seconds": "0"}, "1"),
        ({"seconds": "0.5"}, "1"),
        ({"seconds": "999", "fps": 7}, "6.857"),
        ({"seconds": "soon"}, None),
        ({"seconds": "-4"}, None),
        ({"seconds": True}, None),
        ({"seconds": ["4"]}, None),
        ({"seconds": "4", "num_frames": 33}, None),
    ],
)
def test_seconds_that_cannot_be_rendered_are_refused(body: dict[str, Any], nearest: Any, catalogue: Catalogue) -> None:
    assert mistake(catalogue, **body) == ("seconds", nearest)


@given(fps=st.integers(1, 60), rule=st.sampled_from([SHORT, LONG]), k=st.integers(1, 10))
def test_the_seconds_of_a_video_ask_for_that_video_again(fps: int, rule: Any, k: int) -> None:
    frames = min(rule.step * k + 1, rule.maximum)
    name = "CogVideoX1.5-5B" if rule is LONG else "CogVideoX-tiny"
    family = "1.5" if rule is LONG else "2b"
    catalogue = Catalogue.model_validate({"defaultModel": name, "models": {name: {"family": family, "source": "/m"}}})
    assert asked(catalogue, seconds=seconds_of(frames, fps), fps=fps)["numFrames"] == frames


def test_size_becomes_width_and_height(catalogue: Catalogue) -> None:
    request = asked(catalogue, size="1280x720")
    assert (request["width"], request["height"]) == (1280, 720)


@pytest.mark.parametrize(
    ("body", "nearest"),
    [
        ({"size": "1280x720", "model": "CogVideoX-2b"}, "720x480"),
        ({"size": "10x10"}, "64x64"),
        ({"size": "1281x720"}, "1280x720"),
        ({"size": "1360x1360"}, "1360x768"),
        ({"size": "huge"}, None),
        ({"size": 720}, None),
        ({"size": "720x480", "height": 480}, None),
    ],
)
def test_a_size_that_cannot_be_rendered_is_refused(body: dict[str, Any], nearest: Any, catalogue: Catalogue) -> None:
    assert mistake(catalogue, **body) == ("size", nearest)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"model": "sora-2", "seconds": "4"}, "model"),
        ({"fps": 0, "seconds": "4"}, "fps"),
        ({"fps": 100, "seconds": "4"}, "fps"),
        ({"model": ["a"], "seconds": "4"}, "model"),
        ({"image": "s3://bucket/cat.png"}, "image"),
        ({"model": "CogVideoX-tiny-I2V"}, "input_reference"),
        ({"n": 9}, "n"),
        ({"n": 8, "seed": 2**63 - 7}, "seed"),
        ({"webhook": "ftp://example.com"}, "webhook.url"),
        ({"quality": "high"}, "quality"),
    ],
)
def test_other_mistakes_are_told_as_for_generate(body: dict[str, Any], field: str, catalogue: Catalogue) -> None:
    assert mistake(catalogue, **body)[0] == field


def a_job(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "job-1", "uid": "u-1", "creationTimestamp": CREATED},
        "spec": {"request": {"prompt": "a squirrel", "model": "CogVideoX-2b", "numFrames": 33}, "profile": "h100"},
        "status": status,
    }


@pytest.mark.parametrize(
    ("phase", "word"),
    [
        ("", "queued"),
        ("Pending", "queued"),
        ("Queued", "queued"),
        ("Starting", "in_progress"),
        ("Running", "in_progress"),
        ("Uploading", "in_progress"),
        ("Succeeded", "completed"),
        ("Failed", "failed"),
        ("Cancelled", "failed"),
    ],
)
def test_every_phase_has_a_word_of_the_protocol(phase: str, word: str, catalogue: Catalogue) -> None:
    assert video_of(a_job(phase=phase), catalogue).status == word


def test_a_job_nobody_has_seen_yet_tells_what_will_be_rendered(catalogue: Catalogue) -> None:
    video = video_of(a_job(), catalogue)
    family = FAMILY_DEFAULTS[catalogue.models["CogVideoX-2b"].family]
    assert (video.model, video.seconds, video.size, video.progress) == ("CogVideoX-2b", "4", "720x480", 0)
    assert (video.num_frames, video.fps, video.seed) == (33, family.fps, None)
    assert video.created_at == 1757851830


def test_what_was_resolved_counts_more_than_what_is_now_the_default(catalogue: Catalogue) -> None:
    resolved = {"model": "CogVideoX-2b", "numFrames": 49, "fps": 12, "width": 64, "height": 96, "seed": 7}
    video = video_of(a_job(resolved=resolved), catalogue)
    assert (video.seconds, video.size, video.seed) == ("4", "64x96", 7)


def test_a_model_that_is_gone_from_the_catalogue_is_no_obstacle(catalogue: Catalogue) -> None:
    job = a_job(phase="Failed", reason="UnknownModel", message="'X' is not in the model catalogue")
    job["spec"]["request"] = {"prompt": "a squirrel", "model": "X"}
    video = video_of(job, catalogue)
    assert (video.model, video.seconds, video.size) == ("X", "0", "0x0")
    assert video.error
    assert video.error.code == "UnknownModel"


def test_a_cancelled_job_is_failed_with_the_code_cancelled(catalogue: Catalogue) -> None:
    video = video_of(a_job(phase="Cancelled", reason="Cancelled"), catalogue)
    assert video.error
    assert (video.status, video.error.code) == ("failed", "cancelled")


def test_the_error_of_a_failed_job_ends_with_what_can_be_done(catalogue: Catalogue) -> None:
    video = video_of(a_job(phase="Failed", reason="DiskFull", message="no space left", hint="free some"), catalogue)
    assert video.error
    assert (video.error.code, video.error.message) == ("DiskFull", "no space left; free some")


def test_only_a_failed_job_has_an_error(catalogue: Catalogue) -> None:
    assert video_of(a_job(phase="Running", reason="Rendering", message="m"), catalogue).error is None


def test_a_job_with_a_lifetime_tells_when_it_is_forgotten(catalogue: Catalogue) -> None:
    job = a_job(phase="Succeeded", completionTime="2025-09-14T12:20:30Z")
    assert video_of(job, catalogue).expires_at is None
    job["spec"]["ttlSecondsAfterFinished"] = 60
    video = video_of(job, catalogue)
    assert (video.completed_at, video.expires_at) == (1757852430, 1757852490)


def test_a_remix_keeps_all_but_the_prompt(catalogue: Catalogue) -> None:
    order = remix(a_job(resolved={"seed": 7}), {"prompt": "a cat"}, catalogue)
    spec = order.spec.dump()
    assert spec["request"] == {"prompt": "a cat", "model": "CogVideoX-2b", "numFrames": 33, "seed": 7}
    assert spec["profile"] == "h100"
    assert order.annotations == {"videojob.dev/remixed-from": "job-1"}


def test_a_remix_keeps_the_defaults_of_its_original_unless_it_names_another_model(catalogue: Catalogue) -> None:
    resolved = {"model": "CogVideoX-2b", "numFrames": 17, "width": 720, "height": 480, "fps": 4, "steps": 9, "seed": 7}
    job = a_job(resolved=resolved)
    job["spec"]["request"] = {"prompt": "a squirrel"}
    kept = remix(job, {"prompt": "a cat"}, catalogue).spec.dump()["request"]
    assert kept == {"prompt": "a cat"} | resolved
    longer = remix(job, {"prompt": "a cat", "seconds": "8"}, catalogue).spec.dump()["request"]
    assert longer == {"prompt": "a cat"} | resolved | {"numFrames": 33}
    other = remix(job, {"prompt": "a cat", "model": "CogVideoX1.5-5B"}, catalogue).spec.dump()["request"]
    assert other == {"prompt": "a cat", "model": "CogVideoX1.5-5B", "seed": 7}


def test_a_remix_may_change_more(catalogue: Catalogue) -> None:
    order = remix(a_job(), {"prompt": "a cat", "seconds": "6", "seed": 9, "profile": "a100"}, catalogue)
    request = order.spec.dump()["request"]
    assert (request["numFrames"], request["seed"], order.spec.profile) == (49, 9, "a100")


def test_a_remix_onto_an_image_model_takes_an_image_and_says_so_in_the_words_of_the_client(
    catalogue: Catalogue,
) -> None:
    onto = {"prompt": "a cat", "model": "CogVideoX-tiny-I2V"}
    with pytest.raises(InvalidInput, match="input_reference is required") as missing:
        remix(a_job(), onto, catalogue)
    assert missing.value.field == "input_reference"
    image = "s3://videos/inputs/studio/1"
    order = remix(a_job(), onto | {"image": image}, catalogue, onto | {"input_reference": {"image_url": "data:"}})
    assert order.spec.request.image == image
    with_image = a_job()
    with_image["spec"]["request"] |= {"model": "CogVideoX-tiny-I2V", "image": image}
    with pytest.raises(InvalidInput, match="image is for image-to-video models only") as kept:
        remix(with_image, {"prompt": "a cat", "model": "CogVideoX-2b"}, catalogue)
    assert kept.value.field == "image"


def test_a_remix_needs_a_prompt(catalogue: Catalogue) -> None:
    with pytest.raises(InvalidInput, match="prompt is required"):
        remix(a_job(), {"seed": 9}, catalogue)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n12345678", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
    ],
)
def test_an_image_is_known_by_its_first_bytes(head: bytes, media_type: str) -> None:
    assert media_type_of(head) == media_type


@pytest.mark.parametrize("head", [b"", b"GIF89a", b"<svg xmlns=", b"RIFF\0\0\0\0WAVE", b"\x89PN"])
def test_what_is_no_image_is_refused(head: bytes) -> None:
    with pytest.raises(InvalidInput, match="PNG, JPEG or WebP"):
        media_type_of(head)


def test_an_image_has_a_largest_size() -> None:
    require_size(MAX_IMAGE_BYTES)
    with pytest.raises(BodyTooLarge):
        require_size(MAX_IMAGE_BYTES + 1)


def test_a_data_url_is_read() -> None:
    assert from_data_url("data:image/png;base64,aGVsbG8=") == b"hello"


@pytest.mark.parametrize("url", ["data:", "data:image/png,hello", "data:;base64,a", "data:;base64,a b=="])
def test_a_data_url_without_an_image_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="input_reference"):
        from_data_url(url)
