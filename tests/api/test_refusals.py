"""What the API server refuses, told to a REST client."""

import json
from typing import Any

import pytest

from videojob_api.errors import NameTaken
from videojob_api.refusals import explain


def a_status(message: str, **details: Any) -> str:
    return json.dumps({"kind": "Status", "message": message, "details": details})


@pytest.mark.parametrize(
    ("status", "body", "name", "http_status", "code"),
    [
        (401, a_status("Unauthorized"), "", 503, "ClusterUnavailable"),
        (403, a_status('videojobs "a" is forbidden: exceeded quota: q, used: 2'), "", 429, "QuotaExceeded"),
        (403, a_status('videojobs is forbidden: User "x" cannot create resource'), "", 503, "ClusterUnavailable"),
        (403, a_status("admission webhook says no: User x cannot render cats"), "", 403, "PolicyRefused"),
        (403, a_status("admission webhook says no: is forbidden: User x"), "", 403, "PolicyRefused"),
        (403, a_status("the team's User quota cannot be read"), "", 403, "JobRejected"),
        (403, a_status("the namespace is being terminated"), "", 403, "JobRejected"),
        (404, a_status('videojobs "a" not found'), "a", 404, "UnknownJob"),
        (404, a_status("the server could not find the requested resource"), "", 503, "ClusterUnavailable"),
        (409, a_status("it exists"), "", 503, "ClusterUnavailable"),
        (409, a_status("it has been modified"), "a", 503, "ClusterUnavailable"),
        (422, a_status("denied by ValidatingAdmissionPolicy"), "", 403, "PolicyRefused"),
        (422, a_status("denied request", causes=[{"message": "denied request"}]), "", 403, "PolicyRefused"),
        (400, a_status("it cannot be read"), "", 403, "JobRejected"),
        (429, a_status("too many requests"), "", 503, "ClusterUnavailable"),
        (500, "", "a", 503, "ClusterUnavailable"),
        (502, "<html>", "a", 503, "ClusterUnavailable"),
        (503, "[]", "a", 503, "ClusterUnavailable"),
        (0, "", "a", 503, "ClusterUnavailable"),
    ],
)
def test_a_refusal_has_its_own_meaning(status: int, body: str, name: str, http_status: int, code: str) -> None:
    error = explain(status, body, name)
    assert (error.http_status, error.code) == (http_status, code)
    assert ("Retry-After" in error.headers) is (http_status in {429, 503})


def test_only_a_create_can_lack_a_free_name() -> None:
    assert isinstance(explain(409, a_status("it exists")), NameTaken)
    conflict = explain(409, a_status("it has been modified"), "a")
    assert not isinstance(conflict, NameTaken)
    assert "name" not in conflict.message


def test_a_broken_rule_is_told_with_the_field_as_clients_spell_it() -> None:
    cause = {"field": "spec.request.numFrames", "message": "Invalid value: must be 8k+1 from 9 to 49 for this model"}
    error = explain(422, a_status("VideoJob is invalid", causes=[cause]))
    assert (error.http_status, error.field) == (422, "num_frames")
    assert error.message == "num_frames: Invalid value: must be 8k+1 from 9 to 49 for this model"


def test_a_quota_that_is_used_up_is_told_in_its_own_words() -> None:
    words = "few, requested: count/videojobs.videojob.dev=1, used: count/videojobs.videojob.dev=2"
    error = explain(403, a_status(f'videojobs.videojob.dev "a" is forbidden: exceeded quota: {words}'))
    assert f"quota is used up ({words})" in error.message
