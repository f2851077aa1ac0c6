"""The Job of a VideoJob, compared whole with golden files (written anew with UPDATE_GOLDEN=1)."""

import json
from dataclasses import replace

import pytest
from tests.operator.worlds import SETTINGS, Manifest, assert_golden, built_job, job, video_job

from videojob.resolve import ResolvedRequest
from videojob_operator.job import build_job, request_of
from videojob_operator.settings import Profile

PLAIN = video_job()
FULL = video_job(
    request={"prompt": "It costs $(HOME) and $5", "negativePrompt": "blurry", "seed": 42, "fps": 12},
    profile="h100",
    suspend=True,
    backoffLimit=0,
    activeDeadlineSeconds=600,
    labels={"kueue.x-k8s.io/queue-name": "gpu", "team": "film"},
    annotations={"videojob.dev/traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
)


@pytest.mark.parametrize(("name", "manifest"), [("job-plain", PLAIN), ("job-full", FULL)])
def test_the_job_is_as_the_golden_file(name: str, manifest: Manifest) -> None:
    assert_golden(name, built_job(manifest))


def test_the_image_is_pulled_as_the_installation_says() -> None:
    resolved = request_of(built_job(PLAIN))
    assert resolved
    made = build_job(PLAIN, resolved, Profile(), replace(SETTINGS, renderer_pull_policy="Always"))
    (container,) = made["spec"]["template"]["spec"]["containers"]
    assert container["imagePullPolicy"] == "Always"


def test_the_request_reaches_the_renderer_whole_and_is_not_expanded_by_the_kubelet() -> None:
    (container,) = built_job(FULL)["spec"]["template"]["spec"]["containers"]
    variables = {variable["name"]: variable.get("value", "") for variable in container["env"]}
    assert "$" not in variables["VIDEOJOB_REQUEST"]
    request = ResolvedRequest.model_validate_json(variables["VIDEOJOB_REQUEST"])
    assert request.prompt == "It costs $(HOME) and $5"
    assert request.seed == 42


@pytest.mark.parametrize("text", ["$(VIDEOJOB_REQUEST)", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"])
def test_an_annotation_that_is_no_trace_reaches_no_environment(text: str) -> None:
    manifest = built_job(video_job(annotations={"videojob.dev/traceparent": text}))
    assert text not in json.dumps(manifest)
    assert "VIDEOJOB_TRACEPARENT" not in json.dumps(manifest)


def test_the_prompt_stands_in_one_environment_variable_and_nowhere_else() -> None:
    manifest = built_job(PLAIN)
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    container["env"] = [variable for variable in container["env"] if variable["name"] != "VIDEOJOB_REQUEST"]
    assert "squirrel" not in json.dumps(manifest).replace('"squirrel"', "")
    assert "A squirrel" not in json.dumps(manifest)


def test_a_job_says_what_it_renders() -> None:
    request = request_of(built_job(FULL))
    assert request
    assert (request.prompt, request.seed) == ("It costs $(HOME) and $5", 42)


def test_a_resource_that_a_profile_sets_to_null_is_left_out() -> None:
    """The API server would read it as 0, and the kubelet evict the pod for the first byte it writes."""
    profile = Profile.model_validate({"resources": {"limits": {"memory": "3Gi", "ephemeral-storage": None}}})
    resolved = request_of(built_job(PLAIN))
    assert resolved
    manifest = build_job(PLAIN, resolved, profile, SETTINGS)
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "3Gi", "nvidia.com/gpu": "1"}


def test_where_the_api_signs_the_pod_gets_a_token_for_it_and_no_keys_of_s3() -> None:
    resolved = request_of(built_job(PLAIN))
    assert resolved
    url = "http://videojob-api.videojob"
    plain = built_job(PLAIN)["spec"]["template"]["spec"]
    pod = build_job(PLAIN, resolved, Profile(), replace(SETTINGS, broker_url=url))["spec"]["template"]["spec"]
    (container,), (before,) = pod["containers"], plain["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": "videojob-storage"}}]
    assert [each for each in container["env"] if each not in before["env"]] == [
        {"name": "VIDEOJOB_BROKER_URL", "value": url}
    ]
    (volume,) = [each for each in pod["volumes"] if each not in plain["volumes"]]
    tokens = [each["serviceAccountToken"] for each in volume["projected"]["sources"] if "serviceAccountToken" in each]
    assert tokens == [
        {"path": "token", "expirationSeconds": 3600},
        {"path": "broker-token", "audience": "videojob-api", "expirationSeconds": 600},
    ]
    assert container["volumeMounts"] == before["volumeMounts"]


def test_a_profile_may_have_keys_of_its_own_instead() -> None:
    resolved = request_of(built_job(PLAIN))
    assert resolved
    profile = Profile.model_validate({"env": [{"name": "VIDEOJOB_BROKER_URL", "value": ""}]})
    pod = build_job(PLAIN, resolved, profile, replace(SETTINGS, broker_url="http://api"))["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    told = [each for each in container["env"] if each["name"] == "VIDEOJOB_BROKER_URL"]
    assert told == [{"name": "VIDEOJOB_BROKER_URL", "value": ""}]


def test_a_job_of_another_version_says_nothing() -> None:
    made = job()
    (container,) = made["spec"]["template"]["spec"]["containers"]
    for variables in ([], [{"name": "VIDEOJOB_REQUEST", "value": "{}"}], [{"name": "VIDEOJOB_REQUEST", "value": "x"}]):
        container["env"] = variables
        assert request_of(made) is None
