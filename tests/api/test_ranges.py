"""Range, If-Range and If-None-Match, against a file of 1000 bytes."""

import pytest

from videojob_api.errors import RangeNotSatisfiable
from videojob_api.ranges import Span, is_unchanged, span_asked_for

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=999-", 999, 999),
        ("bytes=500-99999", 500, 999),
        ("bytes=-1", 999, 999),
        ("bytes=-5000", 0, 999),
        ("bytes=0-", 0, 999),
    ],
)
def test_one_range_is_served(asked: str, first: int, last: int) -> None:
    span = span_asked_for({"range": asked}, 1000, ETAG)
    assert span == Span(first, last, 1000)
    assert span.content_range == f"bytes {first}-{last}/1000"
    assert span.length == last - first + 1


@pytest.mark.parametrize(
    "asked", ["", "bytes", "bytes=", "bytes=-", "bytes=5-4", "bytes=0-1,5-6", "lines=0-5", "bytes=a-b", "bytes=٣-٤"]
)
def test_what_is_no_range_gives_the_whole_file(asked: str) -> None:
    assert span_asked_for({"range": asked}, 1000, ETAG) is None


@pytest.mark.parametrize("asked", ["bytes=1000-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused_with_the_size(asked: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        span_asked_for({"range": asked}, 1000, ETAG)
    assert caught.value.headers == {"Content-Range": "bytes */1000"}


def test_an_empty_file_has_no_ranges() -> None:
    with pytest.raises(RangeNotSatisfiable):
        span_asked_for({"range": "bytes=0-"}, 0, ETAG)


def test_a_range_of_another_version_gives_the_whole_file() -> None:
    headers = {"range": "bytes=0-9", "if-range": '"old"'}
    assert span_asked_for(headers, 1000, ETAG) is None
    assert span_asked_for({**headers, "if-range": ETAG}, 1000, ETAG) == Span(0, 9, 1000)


@pytest.mark.parametrize(
    ("known", "unchanged"),
    [("", False), ("*", True), (ETAG, True), ('"old", "abc"', True), ('W/"abc"', True), ('"old"', False)],
)
def test_a_version_the_client_has_is_not_sent_again(known: str, unchanged: bool) -> None:
    assert is_unchanged({"if-none-match": known}, ETAG) is unchanged
