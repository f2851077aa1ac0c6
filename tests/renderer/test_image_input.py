"""The input image: what is read, upright and in RGB, and what is refused with a sentence that begins with `image`."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from videojob.families import Family
from videojob.resolve import ResolvedRequest
from videojob_renderer import patience
from videojob_renderer.environment import Settings
from videojob_renderer.errors import InvalidRequest, StorageUnavailable
from videojob_renderer.image_input import decode, read_image
from videojob_renderer.storage import ObjectTooLarge, StorageAway

MakeRequest = Callable[..., ResolvedRequest]


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def corner() -> Image.Image:
    """Black, with a red pixel in the top left corner; wider than high."""
    image = Image.new("RGB", (40, 20))
    image.putpixel((0, 0), (255, 0, 0))
    return image


class OneObject:
    """A storage that holds one object, or answers as told; the real S3 is asked in the tests of the process."""

    def __init__(self, answer: bytes | Exception | None) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    def get(self, bucket: str, key: str, _max_bytes: int) -> bytes | None:
        self.asked.append((bucket, key))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def settings(make_request: MakeRequest) -> Settings:
    request = make_request(family=Family.COGVIDEOX_5B_I2V, image="s3://other/image.png")
    return Settings("squirrel", "studio", "uid-1", "pod", "https://api", Path("/t"), "videos", "lab", None, request)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_usual_formats_are_read(kind: str) -> None:
    image = decode(encoded(Image.new("RGB", (40, 20), (0, 128, 255)), kind))
    assert (image.mode, image.size) == ("RGB", (40, 20))
    assert np.abs(np.asarray(image, dtype=int) - [0, 128, 255]).max() <= 3


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "I;16"])
def test_any_kind_of_pixel_becomes_rgb(mode: str) -> None:
    assert decode(encoded(Image.new(mode, (4, 4)))).mode == "RGB"


def test_a_photograph_is_put_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the right side is up
    image = decode(encoded(corner(), exif=exif))
    assert image.size == (20, 40)
    assert image.getpixel((19, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no image that can be read; give JPEG, PNG or WEBP"),
        (b"GIF89a nothing", "no image that can be read"),
        (encoded(Image.new("RGB", (4, 4)), "BMP"), "no image that can be read"),
        (encoded(corner())[:-30], "the file is damaged"),
        (encoded(Image.new("1", (10_000, 5_000))), "10000x5000 has too many pixels; at most 40 million"),
        (encoded(Image.new("1", (20_000, 10_000))), "too many pixels"),
    ],
)
def test_what_is_no_image_is_told(content: bytes, words: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        decode(content)
    assert raised.value.message.startswith("image: ")
    assert words in raised.value.message


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("https://example.com/image.png", "must be s3://BUCKET/KEY"),
        ("s3://videos", "must be s3://BUCKET/KEY"),
        ("s3://videos/inputs/studio/a.png", "must begin with lab/inputs/studio/ or lab/studio/"),
        ("s3://videos/lab/inputs/rivals/a.png", "must begin with lab/inputs/studio/ or lab/studio/"),
        ("s3://videos/lab/rivals/uid/thumbnail.jpg", "must begin with lab/inputs/studio/ or lab/studio/"),
    ],
)
def test_only_what_the_namespace_may_read_is_asked_for(settings: Settings, uri: str, words: str) -> None:
    storage = OneObject(encoded(corner()))
    with pytest.raises(InvalidRequest, match=words):
        read_image(uri, settings, storage)  # type: ignore[arg-type]
    assert storage.asked == []


def test_an_image_is_read_from_the_key_that_its_uri_names(settings: Settings) -> None:
    content = encoded(corner())
    storage = OneObject(content)
    image = read_image("s3://videos/lab/inputs/studio/a%20b.png", settings, storage)  # type: ignore[arg-type]
    assert storage.asked == [("videos", "lab/inputs/studio/a b.png")]
    assert image.pixels.size == (40, 20)
    assert len(image.sha256) == 64


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (None, InvalidRequest, "image: there is no s3://other/image.png"),
        (ObjectTooLarge(50 * 2**20), InvalidRequest, "image: the file has 50.0 MiB; at most 32 are read"),
        (StorageUnavailable("S3 refused it"), StorageUnavailable, "S3 refused it"),
        (StorageAway("no answer"), StorageUnavailable, "S3 did not give the input image in 0 s: no answer"),
    ],
)
def test_an_image_that_cannot_be_had_is_told(
    settings: Settings, answer: bytes | Exception | None, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        read_image("s3://other/image.png", settings, OneObject(answer), patience_seconds=0)  # type: ignore[arg-type]


def test_a_storage_that_comes_back_gives_the_image(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = OneObject(StorageAway("no answer"))

    def come_back(_seconds: float) -> None:
        storage.answer = encoded(corner())

    monkeypatch.setattr(patience.time, "sleep", come_back)
    assert read_image("s3://other/image.png", settings, storage).pixels.size == (40, 20)  # type: ignore[arg-type]
