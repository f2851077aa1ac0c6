"""The life of a VideoJob on the real control plane, with pods that sleep or end with a given exit code."""

import itertools

import httpx
import pytest
from cluster import Cluster, Manifest, wait_for

pytestmark = pytest.mark.cluster
_numbers = itertools.count(1)


@pytest.fixture
def name() -> str:
    """A name no other test of this module uses."""
    return f"job-{next(_numbers)}"


def condition(video_job: Manifest, kind: str) -> Manifest:
    return next(each for each in video_job["status"]["conditions"] if each["type"] == kind)


def owners(job: Manifest | None) -> list[str]:
    return [owner["uid"] for owner in (job or {}).get("metadata", {}).get("ownerReferences", [])]


def running_pod(studio: Cluster, name: str) -> Manifest:
    wait_for(lambda: [p for p in studio.pods(name) if p["status"]["phase"] == "Running"], f"a running pod of {name}")
    return next(pod for pod in studio.pods(name) if pod["status"]["phase"] == "Running")


@pytest.mark.parametrize(
    ("code", "reason", "message"),
    [
        (64, "InvalidRequest", "the renderer refused the request"),
        (65, "ContentRefused", "a content policy refused the request"),
    ],
)
def test_a_refusal_of_the_renderer_fails_at_once(
    studio: Cluster, name: str, code: int, reason: str, message: str
) -> None:
    studio.create(name, spec={"profile": f"exit-{code}"})
    failed = studio.wait_for_phase(name, "Failed")
    assert (failed["status"]["reason"], failed["status"]["message"]) == (reason, message)
    assert condition(failed, "Succeeded")["status"] == "False"
    assert len(studio.pods(name)) == 1


def test_a_failure_is_retried_up_to_the_backoff_limit(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "exit-1", "backoffLimit": 1})
    failed = studio.wait_for_phase(name, "Failed", seconds=90)
    assert failed["status"]["reason"] == "BackoffLimitExceeded"
    assert "gave up after 2 failed pod(s)" in failed["status"]["message"]
    assert failed["status"]["attempts"] == 2


def test_an_interruption_is_retried_free_of_charge(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "exit-75", "backoffLimit": 0})
    wait_for(lambda: len(studio.pods(name)) >= 2, "a second pod", seconds=60)
    job = studio.job(name)
    assert job
    assert not job["status"].get("failed")
    studio.patch(name, {"spec": {"cancel": True}})
    studio.wait_for_phase(name, "Cancelled")


@pytest.mark.timeout(1200)
def test_a_renderer_whose_pod_is_deleted_is_followed_by_another_free_of_charge(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"backoffLimit": 0}, steps=200)
    studio.wait_for_phase(name, "Running", seconds=480)
    first = running_pod(studio, name)["metadata"]["name"]
    studio.delete(first, "pods", "api/v1")
    status = studio.wait_for_phase(name, "Succeeded", seconds=480)["status"]
    assert status["attempts"] == 2
    assert status["podName"] != first


def test_a_renderer_that_ends_well_without_a_video_has_failed(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "exit-0"})
    assert studio.wait_for_phase(name, "Failed")["status"]["reason"] == "ArtifactMissing"


def test_an_unknown_model_or_profile_is_told_at_once_and_gets_no_job(studio: Cluster, name: str) -> None:
    studio.create(name, model="CogVideoX-3b")
    status = studio.wait_for_reason(name, "UnknownModel")
    assert status["phase"] == "Pending"
    assert "CogVideoX-tiny" in status["message"]
    assert "on its way" in status["hint"]
    assert studio.job(name) is None
    studio.create(f"{name}-b", spec={"profile": "a100"})
    studio.wait_for_reason(f"{name}-b", "UnknownProfile")


def test_a_cancelled_job_frees_its_gpus(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "all-gpus"})
    running_pod(studio, name)
    studio.create(f"{name}-next", spec={"profile": "all-gpus"})
    studio.wait_for_reason(f"{name}-next", "GpusTaken")
    waiting = studio.get(f"{name}-next") or {}
    assert "GPUs exist on" in waiting["status"]["message"]
    assert "Insufficient nvidia.com/gpu" in waiting["status"]["message"]
    assert "it starts when a GPU gets free" in waiting["status"]["hint"]
    studio.patch(name, {"spec": {"cancel": True}})
    assert studio.wait_for_phase(name, "Cancelled")["status"]["reason"] == "Cancelled"
    running_pod(studio, f"{name}-next")
    studio.delete(f"{name}-next")


def test_a_deleted_videojob_takes_job_and_pod_along(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "sleep"})
    running_pod(studio, name)
    studio.delete(name)
    wait_for(lambda: studio.job(name) is None and not studio.pods(name), "the end of Job and pod")


def test_a_videojob_made_again_under_its_old_name_gets_its_own_job(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "sleep"})
    old = running_pod(studio, name)
    studio.delete(name)
    again = studio.create(name, spec={"profile": "sleep"})

    wait_for(lambda: owners(studio.job(name)) == [again["metadata"]["uid"]], "a Job of the new VideoJob")
    wait_for(
        lambda: old["metadata"]["uid"] not in {p["metadata"]["uid"] for p in studio.pods(name)}, "the old pod's end"
    )
    studio.delete(name)


def test_a_job_deleted_by_hand_is_made_again(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "sleep"})
    running_pod(studio, name)
    uid = (studio.job(name) or {})["metadata"]["uid"]
    studio.delete(name, "jobs", "apis/batch/v1")
    wait_for(lambda: (studio.job(name) or {"metadata": {"uid": uid}})["metadata"]["uid"] != uid, "another Job")
    wait_for(lambda: (studio.get(name) or {})["status"]["attempts"] == 2, "the second attempt in the status")
    studio.delete(name)


def test_a_video_that_the_renderer_could_not_record_is_recorded_for_it(studio: Cluster, name: str) -> None:
    uid = studio.create(name, spec={"profile": "left-result"})["metadata"]["uid"]
    status = studio.wait_for_phase(name, "Succeeded", seconds=240)["status"]
    folder = f"{studio.namespace}/{uid}/{status['podName']}"
    assert status["artifacts"] == {"video": {"uri": f"s3://videos/{folder}/a.mp4"}}


def test_a_foreign_job_of_the_same_name_is_left_alone_and_waited_for(
    studio: Cluster, kubernetes_http: httpx.Client, name: str
) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "test/sleep:1"}]}
    foreign = {"metadata": {"name": name}, "spec": {"template": {"spec": pod}}}
    kubernetes_http.post(studio.url(plural="jobs", group="apis/batch/v1"), json=foreign).raise_for_status()
    uid = studio.create(name, spec={"profile": "sleep"})["metadata"]["uid"]
    studio.wait_for_reason(name, "NameInUse")
    assert owners(studio.job(name)) == []
    studio.delete(name, "jobs", "apis/batch/v1")
    wait_for(lambda: owners(studio.job(name)) == [uid], "a Job of the VideoJob's own")
    studio.wait_for_phase(name, "Starting")
    studio.delete(name)


def test_a_job_that_a_quota_forbids_is_made_once_there_is_room(
    studio: Cluster, kubernetes_http: httpx.Client, name: str
) -> None:
    quotas = studio.url(plural="resourcequotas", group="api/v1")
    quota = {"metadata": {"name": "no-jobs"}, "spec": {"hard": {"count/jobs.batch": "0"}}}
    kubernetes_http.post(quotas, json=quota).raise_for_status()
    counted = f"{quotas}/no-jobs"
    wait_for(lambda: kubernetes_http.get(counted).json().get("status", {}).get("used"), "the quota's first count")
    studio.create(name, spec={"profile": "sleep"})
    studio.wait_for_reason(name, "QuotaExceeded")
    assert "exceeded quota: no-jobs" in (studio.get(name) or {})["status"]["message"]
    kubernetes_http.delete(counted).raise_for_status()
    studio.wait_for_phase(name, "Starting")
    studio.delete(name)


def test_a_suspended_job_uses_no_gpu_until_it_is_resumed(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "sleep", "suspend": True})
    assert studio.wait_for_phase(name, "Queued")["status"]["reason"] == "Suspended"
    assert studio.pods(name) == []
    studio.patch(name, {"spec": {"suspend": False}})
    running_pod(studio, name)
    studio.patch(name, {"spec": {"suspend": True}})
    studio.wait_for_phase(name, "Queued")
    wait_for(lambda: not studio.pods(name), "the end of the pod")
    studio.delete(name)


def test_a_pod_that_fits_nowhere_says_so_in_the_schedulers_words(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "nowhere"})
    studio.wait_for_reason(name, "NoMatchingNode")
    assert "node affinity/selector" in (studio.get(name) or {})["status"]["message"]
    studio.delete(name)


def test_an_image_that_cannot_be_pulled_is_named(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "no-image"})
    studio.wait_for_reason(name, "ImagePullFailed")
    assert "registry.invalid/none:1" in (studio.get(name) or {})["status"]["message"]
    studio.delete(name)


def test_kubectl_shows_phase_and_reason_and_waits_for_conditions(studio: Cluster, name: str) -> None:
    studio.create(name, spec={"profile": "exit-64"})
    here = f"--namespace={studio.namespace}"
    studio.kubectl.run("wait", here, "--for=condition=Succeeded=False", f"vj/{name}", "--timeout=60s")
    header, row = studio.kubectl.run("get", here, "vj", name).splitlines()
    assert header.split() == ["NAME", "PHASE", "PROGRESS", "REASON", "AGE"]
    assert row.split()[:3] == [name, "Failed", "InvalidRequest"]
    wide = studio.kubectl.run("get", here, "vj", name, "--output=wide").splitlines()[0].split()
    assert wide[5:] == ["MODEL", "FRAMES", "SEED", "ATTEMPTS", "NODE", "VIDEO"]
    failed = studio.kubectl.run("get", here, "vj", "--field-selector=status.phase=Failed", "--output=name")
    assert f"videojob.videojob.dev/{name}\n" in failed
    events = studio.kubectl.run("describe", here, "vj", name)
    assert "InvalidRequest" in events.rsplit("Events:", 1)[1]
