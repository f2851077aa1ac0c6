"""What Kopf is told that keeps an outage of any length from ending the operator."""

from itertools import islice

import kopf
import pytest

from videojob_operator.informer import configure

A_DAY_SECONDS = 86_400


@pytest.fixture
def settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    configure(settings)
    return settings


def test_kopf_never_stops_to_ask_an_api_server_that_is_away(settings: kopf.OperatorSettings) -> None:
    pauses = settings.networking.error_backoffs
    tries = list(islice(iter(pauses), 20_000))
    assert sum(tries) > A_DAY_SECONDS
    assert max(tries) < 15
    assert next(iter(pauses)) < 1, "each request begins with short pauses again"
