"""Pydantic and the API server agree about every generated VideoJob: what one accepts, the other accepts."""

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from videojob import resource
from videojob.families import FIXED_SIZE_MODELS
from videojob.request import MAX_SEED
from videojob.spec import VideoJobSpec

pytestmark = pytest.mark.cluster

EXAMPLES = 500


def mostly(legal: st.SearchStrategy[Any], doubtful: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Legal in five cases of six, so that many objects as a whole are legal and few have more than one fault."""
    return st.integers(0, 5).flatmap(lambda die: doubtful if die == 0 else legal)


# Not 33.0, about which the two differ (see test_a_whole_number_written_as_a_float_is_stored_as_an_integer).
WRONG_TYPES = st.sampled_from(["6", True, [], {}, 1.5])
NUMBERS = st.integers(-2, 210) | st.integers(-(2**64), 2**64) | WRONG_TYPES
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda text: not text.isspace()
)
DOUBTFUL_TEXTS = st.sampled_from(
    ["", " ", "\t\n", "\x1c", "\x85\u3000", "\u200b", "\ufeff", "\x00", "x" * 4096, "x" * 4097, "🐿" * 4096, 7]
)
MODELS = st.sampled_from([*FIXED_SIZE_MODELS, "CogVideoX1.5-5B", "CogVideoX1.5-5B-I2V", "mine", "my-I2V"])
DOUBTFUL_MODELS = st.sampled_from(["", "-a", "a b", "x" * 63, "x" * 64, "é", "CogVideoX1.5", "-I2V"])
FRAMES = st.sampled_from([9, 17, 33, 49])
SIDES = st.integers(4, 85).map(lambda k: 16 * k)
IMAGES = st.sampled_from(["s3://bucket/key.png", "s3://bucket/inputs/studio/key"])
DOUBTFUL_IMAGES = st.sampled_from(["", "s3://b", "s3:///k", "file:///k", "https://h/k", "s3://b/" + "k" * 2048])

REQUESTS = st.fixed_dictionaries(
    {"prompt": mostly(TEXTS, DOUBTFUL_TEXTS)},
    optional={
        "negativePrompt": mostly(TEXTS, DOUBTFUL_TEXTS),
        "model": mostly(MODELS, DOUBTFUL_MODELS),
        "numFrames": mostly(FRAMES, NUMBERS | st.integers(0, 22).map(lambda k: 8 * k + 1)),
        "width": mostly(SIDES | st.just(720), NUMBERS),
        "height": mostly(SIDES | st.just(480), NUMBERS),
        "fps": mostly(st.integers(1, 60), NUMBERS),
        "steps": mostly(st.integers(1, 200), NUMBERS),
        "guidanceScale": mostly(
            st.floats(1.01, 30), st.floats(-1, 31) | st.sampled_from([0, 1, 1.0, 30, 30.000001]) | WRONG_TYPES
        ),
        "seed": mostly(st.integers(0, MAX_SEED), NUMBERS | st.just(MAX_SEED + 1)),
        "image": mostly(IMAGES, DOUBTFUL_IMAGES),
    },
)
UNKNOWN_FIELDS = mostly(st.just({}), st.sampled_from([{"frames": 49}, {"num_frames": 49}, {"Prompt": "x"}]))
SPECS = st.fixed_dictionaries(
    {"request": st.builds(lambda known, unknown: known | unknown, REQUESTS, UNKNOWN_FIELDS)},
    optional={
        "profile": mostly(st.just("two-gpus"), st.sampled_from(["", "A", "a-", "x" * 63, "x" * 64, 1])),
        "suspend": mostly(st.booleans(), st.sampled_from(["true", 1, {}])),
        "cancel": st.booleans(),
        "backoffLimit": mostly(st.integers(0, 100), NUMBERS),
        "startDeadlineSeconds": mostly(st.integers(1, 10**6), NUMBERS),
        "activeDeadlineSeconds": mostly(st.integers(1, 10**6), NUMBERS),
        "ttlSecondsAfterFinished": mostly(st.integers(0, 10**6), NUMBERS),
        "webhook": mostly(
            st.just({"url": "https://host/path?query"}),
            st.sampled_from(
                [{}, {"url": "h"}, {"url": "https://h/ p"}, {"url": "https://"}, {"url": "http://h", "x": 1}]
            ),
        ),
    },
)


def pydantic_accepts(spec: dict[str, Any]) -> bool:
    # By alias only: a manifest is in camelCase, while REST may write snake_case.
    try:
        VideoJobSpec.model_validate(spec, by_alias=True, by_name=False)
    except ValidationError:
        return False
    return True


def test_pydantic_and_the_api_server_agree(kubernetes_http: httpx.Client, namespace: str) -> None:
    url = f"/apis/{resource.API_VERSION}/namespaces/{namespace}/{resource.PLURAL}"
    verdicts = {True: 0, False: 0}

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=False)
    @given(spec=SPECS)
    def agree(spec: dict[str, Any]) -> None:
        body = {
            "apiVersion": resource.API_VERSION,
            "kind": resource.KIND,
            "metadata": {"name": "generated"},
            "spec": spec,
        }
        answer = kubernetes_http.post(url, json=body, params={"dryRun": "All", "fieldValidation": "Strict"})
        assert answer.status_code in {201, 400, 422}, answer.text
        expected = pydantic_accepts(spec)
        assert (answer.status_code == 201) is expected, answer.text
        verdicts[expected] += 1

    agree()
    # Otherwise the two would agree about nothing worth agreeing about.
    assert min(verdicts.values()) >= EXAMPLES // 10, verdicts
