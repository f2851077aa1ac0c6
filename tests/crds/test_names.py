"""Names, keys and last words."""

import re
from datetime import UTC, datetime, timedelta, timezone
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from videojob.names import MAX_NAME_LENGTH, NAME_PATTERN, artifact_key, is_of_attempt, new_name
from videojob.termination import MAX_BYTES, TerminationMessage


def test_a_new_name_tells_the_time_in_utc() -> None:
    noon_in_india = datetime(2025, 9, 14, 17, 40, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    name = new_name(noon_in_india, Random(1))
    assert re.fullmatch(r"job-20250914-121030-[b-z2-9]{5}", name)
    assert re.fullmatch(NAME_PATTERN, name)
    assert len(name) <= MAX_NAME_LENGTH


def test_names_of_one_second_differ() -> None:
    random, now = Random(1), datetime(2025, 9, 14, tzinfo=UTC)
    assert len({new_name(now, random) for _ in range(100)}) == 100


def test_an_artifact_belongs_to_one_attempt_of_one_job() -> None:
    key = artifact_key("videos/", "studio", "uid-1", "squirrel-abcde", "video.mp4")
    assert key == "videos/studio/uid-1/squirrel-abcde/video.mp4"
    assert artifact_key("", "studio", "uid-1", "pod", "video.mp4") == "studio/uid-1/pod/video.mp4"
    assert is_of_attempt(f"s3://bucket/{key}", "uid-1", "squirrel-abcde")
    assert not is_of_attempt(f"s3://bucket/{key}", "uid-1", "squirrel-fghij")
    assert not is_of_attempt(f"s3://bucket/{key}", "uid-2", "squirrel-abcde")
    assert not is_of_attempt("", "uid-1", "squirrel-abcde")


def test_last_words_survive_the_kubelet() -> None:
    words = TerminationMessage(reason="WeightsUnavailable", message="no such file")
    assert TerminationMessage.decode(words.encode()) == words


@given(st.text(max_size=6000))
def test_long_last_words_are_cut_to_what_the_kubelet_keeps(message: str) -> None:
    text = TerminationMessage(reason="RendererFailed", message=message).encode()
    assert len(text.encode()) <= MAX_BYTES
    decoded = TerminationMessage.decode(text)
    assert decoded is not None
    assert decoded.message == message or decoded.message.endswith("…")


def test_words_of_another_program_are_no_last_words() -> None:
    assert TerminationMessage.decode("Killed") is None
    assert TerminationMessage.decode("") is None
    assert TerminationMessage.decode('{"code": 1}') is None
