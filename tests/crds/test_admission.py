"""The API server keeps every rule of the resource, each tried on both sides of its edge."""

from typing import Any

import httpx
import pytest

from videojob import resource
from videojob.request import MAX_SEED

pytestmark = pytest.mark.cluster

Manifest = dict[str, Any]
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


class VideoJobs:
    """The VideoJobs of one namespace, spoken to in plain JSON so that nothing is cleaned up on the way."""

    def __init__(self, http: httpx.Client, namespace: str) -> None:
        self._http = http
        self._url = f"/apis/{resource.API_VERSION}/namespaces/{namespace}/{resource.PLURAL}"

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> httpx.Response:
        params = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        return self._http.post(self._url, json=manifest, params=params)

    def patch(self, name: str, change: Manifest, subresource: str = "") -> httpx.Response:
        return self._http.patch(f"{self._url}/{name}{subresource}", json=change, headers=MERGE_PATCH)


@pytest.fixture
def video_jobs(kubernetes_http: httpx.Client, namespace: str) -> VideoJobs:
    return VideoJobs(kubernetes_http, namespace)


def manifest(name: str = "squirrel", spec: Manifest | None = None, **request: Any) -> Manifest:
    return {
        "apiVersion": resource.API_VERSION,
        "kind": resource.KIND,
        "metadata": {"name": name},
        "spec": {"request": {"prompt": "a squirrel"} | request} | (spec or {}),
    }


REQUEST_EDGES: list[tuple[Manifest, Manifest, str]] = [
    # accepted, refused, the field that the refusal names
    ({"prompt": "."}, {"prompt": ""}, "spec.request.prompt"),
    ({"prompt": " x"}, {"prompt": " \t\u3000\x85"}, "spec.request.prompt"),
    ({"prompt": "🐿" * 4096}, {"prompt": "x" * 4097}, "spec.request.prompt"),
    ({"negativePrompt": "x" * 4096}, {"negativePrompt": "x" * 4097}, "spec.request.negativePrompt"),
    (
        {"negativePrompt": "x", "guidanceScale": 1.01},
        {"negativePrompt": "x", "guidanceScale": 1},
        "spec.request.negativePrompt",
    ),
    ({"model": "a.B_1-c"}, {"model": "-a"}, "spec.request.model"),
    ({"model": "x" * 63}, {"model": "x" * 64}, "spec.request.model"),
    ({"numFrames": 9}, {"numFrames": 1}, "spec.request.numFrames"),
    ({"numFrames": 49}, {"numFrames": 50}, "spec.request.numFrames"),
    ({"numFrames": 161}, {"numFrames": 169}, "spec.request.numFrames"),
    (
        {"numFrames": 49, "model": "CogVideoX-5b"},
        {"numFrames": 57, "model": "CogVideoX-5b"},
        "spec.request.numFrames",
    ),
    (
        {"numFrames": 17, "model": "CogVideoX1.5-5B"},
        {"numFrames": 25, "model": "CogVideoX1.5-5B"},
        "spec.request.numFrames",
    ),
    ({"width": 64}, {"width": 48}, "spec.request.width"),
    ({"width": 1360}, {"width": 1376}, "spec.request.width"),
    ({"width": 96}, {"width": 100}, "spec.request.width"),
    ({"height": 64}, {"height": 48}, "spec.request.height"),
    ({"width": 720, "model": "CogVideoX-2b"}, {"width": 704, "model": "CogVideoX-2b"}, "spec.request.width"),
    ({"height": 480, "model": "CogVideoX-2b"}, {"height": 464, "model": "CogVideoX-2b"}, "spec.request.height"),
    ({"width": 1360, "height": 768}, {"width": 1360, "height": 784}, "spec.request.height"),
    ({"fps": 1}, {"fps": 0}, "spec.request.fps"),
    ({"fps": 60}, {"fps": 61}, "spec.request.fps"),
    ({"steps": 1}, {"steps": 0}, "spec.request.steps"),
    ({"steps": 200}, {"steps": 201}, "spec.request.steps"),
    ({"guidanceScale": 0}, {"guidanceScale": -0.1}, "spec.request.guidanceScale"),
    ({"guidanceScale": 30}, {"guidanceScale": 30.1}, "spec.request.guidanceScale"),
    ({"seed": 0}, {"seed": -1}, "spec.request.seed"),
    ({"seed": MAX_SEED}, {"seed": MAX_SEED + 1}, "spec.request.seed"),
    (
        {"image": "s3://b/k", "model": "CogVideoX-5b-I2V"},
        {"image": "file:///k", "model": "CogVideoX-5b-I2V"},
        "spec.request.image",
    ),
    ({"image": "s3://h/k", "model": "my-I2V"}, {"image": "s3://h/k", "model": "my"}, "spec.request.image"),
    ({"image": "s3://h/k", "model": "my-I2V"}, {"model": "my-I2V"}, "spec.request.model"),
]


@pytest.mark.parametrize(("legal", "illegal", "field"), REQUEST_EDGES)
def test_a_rule_of_the_request_holds_at_its_edge(
    video_jobs: VideoJobs, legal: Manifest, illegal: Manifest, field: str
) -> None:
    assert video_jobs.create(manifest(**legal), dry_run=True).status_code == 201
    refused = video_jobs.create(manifest(**illegal), dry_run=True)
    assert refused.status_code == 422
    assert field in {cause["field"] for cause in refused.json()["details"]["causes"]}


SPEC_EDGES: list[tuple[Manifest, Manifest, str]] = [
    ({"profile": "two-gpus"}, {"profile": "Two GPUs"}, "spec.profile"),
    ({"backoffLimit": 0}, {"backoffLimit": -1}, "spec.backoffLimit"),
    ({"backoffLimit": 100}, {"backoffLimit": 101}, "spec.backoffLimit"),
    ({"startDeadlineSeconds": 1}, {"startDeadlineSeconds": 0}, "spec.startDeadlineSeconds"),
    ({"activeDeadlineSeconds": 1}, {"activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds"),
    ({"activeDeadlineSeconds": 31536000}, {"activeDeadlineSeconds": 31536001}, "spec.activeDeadlineSeconds"),
    ({"ttlSecondsAfterFinished": 0}, {"ttlSecondsAfterFinished": -1}, "spec.ttlSecondsAfterFinished"),
    ({"webhook": {"url": "https://h/p?q"}}, {"webhook": {"url": "ftp://h/"}}, "spec.webhook.url"),
    ({"webhook": {"url": "https://h"}}, {"webhook": {}}, "spec.webhook.url"),
]


@pytest.mark.parametrize(("legal", "illegal", "field"), SPEC_EDGES)
def test_a_rule_of_the_spec_holds_at_its_edge(
    video_jobs: VideoJobs, legal: Manifest, illegal: Manifest, field: str
) -> None:
    assert video_jobs.create(manifest(spec=legal), dry_run=True).status_code == 201
    refused = video_jobs.create(manifest(spec=illegal), dry_run=True)
    assert refused.status_code == 422
    assert field in {cause["field"] for cause in refused.json()["details"]["causes"]}


@pytest.mark.parametrize("name", ["a", "x" * 52, "job-20250914-121030-x7k2p"])
def test_a_name_that_a_pod_can_carry_is_accepted(video_jobs: VideoJobs, name: str) -> None:
    assert video_jobs.create(manifest(name), dry_run=True).status_code == 201


@pytest.mark.parametrize("name", ["x" * 53, "two.parts", "Upper", "-dash"])
def test_a_name_that_a_pod_cannot_carry_is_refused(video_jobs: VideoJobs, name: str) -> None:
    refused = video_jobs.create(manifest(name), dry_run=True)
    assert refused.status_code == 422
    assert "name" in refused.json()["message"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"spec": {"request": {"prompt": "x", "frames": 49}}}, "spec.request.frames"),
        ({"spec": {"request": {"prompt": "x"}, "webhook": {"url": "https://h", "secret": "s"}}}, "spec.webhook.secret"),
        ({"spec": {"request": {"prompt": "x"}, "gpus": 8}}, "spec.gpus"),
    ],
)
def test_an_unknown_field_is_refused_with_its_path(video_jobs: VideoJobs, change: Manifest, path: str) -> None:
    refused = video_jobs.create(manifest() | change, dry_run=True)
    assert refused.status_code == 400
    assert f'unknown field "{path}"' in refused.json()["message"]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"numFrames": "49"}, "spec.request.numFrames"),
        ({"numFrames": True}, "spec.request.numFrames"),
        ({"prompt": 7}, "spec.request.prompt"),
        ({"prompt": ["x"]}, "spec.request.prompt"),
        ({"guidanceScale": "6"}, "spec.request.guidanceScale"),
        ({"seed": 1.5}, "spec.request.seed"),
    ],
)
def test_a_wrong_type_is_refused_with_its_path(video_jobs: VideoJobs, fields: Manifest, path: str) -> None:
    refused = video_jobs.create(manifest(**fields), dry_run=True)
    assert refused.status_code == 422
    assert path in {cause["field"] for cause in refused.json()["details"]["causes"]}


def test_a_request_and_a_profile_never_change(video_jobs: VideoJobs) -> None:
    assert video_jobs.create(manifest()).status_code == 201
    for change in ({"request": {"prompt": "another"}}, {"request": {"seed": 1}}, {"profile": "other"}):
        assert video_jobs.patch("squirrel", {"spec": change}).status_code == 422
    assert video_jobs.patch("squirrel", {"spec": {"suspend": True}}).status_code == 200
    assert video_jobs.patch("squirrel", {"spec": {"suspend": False}}).status_code == 200


def test_cancel_cannot_be_unset(video_jobs: VideoJobs) -> None:
    assert video_jobs.create(manifest()).status_code == 201
    assert video_jobs.patch("squirrel", {"spec": {"cancel": True}}).status_code == 200
    for value in (False, None):
        refused = video_jobs.patch("squirrel", {"spec": {"cancel": value}})
        assert refused.status_code == 422
        assert "cannot be unset" in refused.json()["message"]


@pytest.mark.parametrize("terminal", ["Succeeded", "Failed", "Cancelled"])
def test_a_terminal_phase_is_final(video_jobs: VideoJobs, terminal: str) -> None:
    assert video_jobs.create(manifest()).status_code == 201
    assert video_jobs.patch("squirrel", {"status": {"phase": "Running"}}, "/status").status_code == 200
    assert video_jobs.patch("squirrel", {"status": {"phase": terminal}}, "/status").status_code == 200
    for phase in ("Running", None, "Failed" if terminal != "Failed" else "Succeeded"):
        assert video_jobs.patch("squirrel", {"status": {"phase": phase}}, "/status").status_code == 422
    assert video_jobs.patch("squirrel", {"status": {"message": "still ours"}}, "/status").status_code == 200


def test_spec_and_status_are_written_apart(video_jobs: VideoJobs) -> None:
    assert video_jobs.create(manifest() | {"status": {"phase": "Succeeded"}}).json().get("status") is None
    answer = video_jobs.patch("squirrel", {"spec": {"cancel": True}, "status": {"phase": "Pending"}}, "/status")
    assert answer.json()["spec"]["cancel"] is False
    assert answer.json()["status"] == {"phase": "Pending"}


def test_a_whole_number_written_as_a_float_is_stored_as_an_integer(video_jobs: VideoJobs) -> None:
    # REST refuses 7.0 where Kubernetes takes it. Nothing is lost by that: the operator reads the integer 7.
    answer = video_jobs.create(manifest(spec={"backoffLimit": 7.0}))
    assert answer.status_code == 201
    assert '"backoffLimit":7,' in answer.text
