"""The words in which a renderer asks for signed URLs, and the keys that both sides form."""

import pytest
from pydantic import ValidationError

from videojob.broker import MAX_WISHES, Method, Wish, Wishes
from videojob.names import bucket_and_key, embedding_key, image_folders

BODY = {"bytes": 3, "contentType": "video/mp4", "sha256": "0" * 64}


def test_a_put_describes_its_body_and_nothing_else_does() -> None:
    wish = Wish.model_validate({"method": "PUT", "key": "a/b"} | BODY)
    assert (wish.method, wish.bytes, wish.content_type) == (Method.PUT, 3, "video/mp4")
    assert Wish.model_validate({"method": "GET", "key": "a/b"}).sha256 is None
    for field, value in BODY.items():
        with pytest.raises(ValidationError, match="must be given with PUT"):
            Wish.model_validate({"method": "PUT", "key": "a/b"} | BODY | {field: None})
        with pytest.raises(ValidationError, match="and with nothing else"):
            Wish.model_validate({"method": "DELETE", "key": "a/b", field: value})


@pytest.mark.parametrize(
    "change",
    [
        {"method": "POST"},
        {"key": ""},
        {"bytes": -1},
        {"bytes": 5 * 2**30 + 1},
        {"contentType": "video/mp4\r\nx-amz-acl: public-read"},
        {"contentType": "video"},
        {"sha256": "0" * 63},
        {"sha256": "G" * 64},
        {"acl": "public-read"},
    ],
)
def test_a_wish_that_s3_should_never_see_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Wish.model_validate({"method": "PUT", "key": "a/b"} | BODY | change)


def test_there_is_at_least_one_wish_and_not_too_many() -> None:
    wish = {"method": "GET", "key": "a/b"}
    assert len(Wishes.model_validate({"wishes": [wish] * MAX_WISHES}).wishes) == MAX_WISHES
    for number in (0, MAX_WISHES + 1):
        with pytest.raises(ValidationError):
            Wishes.model_validate({"wishes": [wish] * number})


def test_each_namespace_has_folders_of_its_own() -> None:
    assert image_folders("", "studio") == ("inputs/studio/", "studio/")
    assert image_folders("/renders/", "studio") == ("renders/inputs/studio/", "renders/studio/")
    assert embedding_key("", "studio", "abc") == "embeddings/studio/abc.safetensors"
    assert embedding_key("renders/", "studio", "abc") == "renders/embeddings/studio/abc.safetensors"


def test_a_uri_is_taken_apart() -> None:
    assert bucket_and_key("s3://videos/inputs/studio/a%20b") == ("videos", "inputs/studio/a b")
    for wrong in ("", "https://videos/a", "s3://videos", "s3:///a", "s3://videos/"):
        assert bucket_and_key(wrong) is None
