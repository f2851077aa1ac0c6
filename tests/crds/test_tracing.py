"""The form of a traceparent."""

import pytest

from videojob.tracing import legal_traceparent, trace_id_of

LEGAL = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_traceparent_is_kept_as_it_is_and_names_its_trace() -> None:
    assert legal_traceparent(LEGAL) == LEGAL
    assert trace_id_of(LEGAL) == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "$(HOME)",
        LEGAL.upper(),
        LEGAL + "\n",
        LEGAL + "-more",
        "01" + LEGAL[2:],
        "ff" + LEGAL[2:],
        LEGAL.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        LEGAL.replace("00f067aa0ba902b7", "0" * 16),
        LEGAL.replace("4", "٤"),
    ],
)
def test_anything_else_is_as_good_as_nothing(text: str | None) -> None:
    assert legal_traceparent(text) is None
