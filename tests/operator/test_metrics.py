"""What is counted, once, and by which labels."""

from collections.abc import Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from tests.operator import worlds as w

from videojob_operator.live_settings import LiveSettings
from videojob_operator.metrics import Metrics
from videojob_operator.observed import Observed

RESOLVED = {"resolved": {"model": "CogVideoX-2b"}}


def new_metrics(*phases: str) -> Metrics:
    return Metrics(
        lambda: phases,
        lambda: 2,
        lambda: 3,
        LiveSettings(w.SETTINGS, {"VIDEOJOB_CATALOGUE": __file__, "VIDEOJOB_PROFILES": __file__}),
    )


def sample(metrics: Metrics, name: str, labels: Mapping[str, str] | None = None) -> float:
    families = text_string_to_metric_families(metrics.render().decode())
    found = [each for family in families for each in family.samples if each.name == name]
    return sum(each.value for each in found if (labels or {}).items() <= each.labels.items())


def seen(status: dict[str, Any] | None = None, *, profile: str = "default", pods: tuple[Any, ...] = ()) -> Observed:
    video_job = w.video_job(status=status or {})
    video_job["spec"]["profile"] = profile
    return Observed(video_job, w.job(), pods)


def test_a_videojob_is_created_with_its_first_status_and_never_again() -> None:
    metrics = new_metrics()
    metrics.count(seen(), {"phase": "Pending"} | RESOLVED)
    metrics.count(seen({"phase": "Pending"} | RESOLVED), {"phase": "Running"})
    assert sample(metrics, "videojob_created_total") == 1
    assert sample(metrics, "videojob_created_total", {"model": "CogVideoX-2b", "profile": "default"}) == 1
    assert sample(metrics, "videojob_finished_total") == 0


def test_an_end_is_counted_by_outcome_reason_model_and_profile() -> None:
    metrics = new_metrics()
    running = seen({"phase": "Running"} | RESOLVED, profile="h100")
    metrics.count(running, {"phase": "Failed", "reason": "GpuFault"})
    labels = {"outcome": "failed", "reason": "GpuFault", "model": "CogVideoX-2b", "profile": "h100"}
    assert sample(metrics, "videojob_finished_total", labels) == 1
    metrics.count(seen({"phase": "Failed"} | RESOLVED), {"conditions": []})  # the note that a webhook was delivered
    assert sample(metrics, "videojob_finished_total") == 1


def test_successes_are_told_before_the_first_because_a_count_born_at_one_has_no_increase() -> None:
    text = new_metrics().render().decode()
    for model in w.SETTINGS.catalogue.models:
        for profile in w.SETTINGS.profiles:
            labels = f'model="{model}",outcome="succeeded",profile="{profile}",reason="Completed"'
            assert f"videojob_finished_total{{{labels}}} 0.0" in text
    assert 'outcome="failed"' not in text


def test_words_of_users_become_no_labels() -> None:
    metrics = new_metrics()
    metrics.count(seen(profile="whatever-a-user-wrote"), {"phase": "Failed", "reason": "UnknownProfile"})
    text = metrics.render().decode()
    assert "whatever-a-user-wrote" not in text
    assert sample(metrics, "videojob_finished_total", {"model": "unknown", "profile": "unknown"}) == 1


def test_durations_come_from_the_times_of_kubelet_and_renderer() -> None:
    metrics = new_metrics()
    ended = {"exitCode": 0, "startedAt": "2026-01-01T00:00:12Z", "finishedAt": "2026-01-01T00:01:12Z"}
    pod = w.pod(phase="Succeeded", state={"terminated": ended})
    pod["status"]["startTime"] = "2026-01-01T00:00:10Z"
    status = {
        "phase": "Uploading",
        "queuedTime": "2026-01-01T00:00:00Z",
        "startTime": "2026-01-01T00:00:10Z",
        "renderer": {"seconds": {"load": 20.0}},
        "artifacts": {"video": {"uri": f"s3://videos/studio/{w.UID}/{w.POD}/video.mp4"}},
    }
    metrics.count(seen(status | RESOLVED, pods=(pod,)), {"phase": "Succeeded", "reason": "Completed"})
    sums = {name: sample(metrics, f"videojob_{name}_seconds_sum") for name in ("queue", "startup", "render")}
    assert sums == {"queue": 10, "startup": 22, "render": 40}


def test_gauges_are_read_when_asked_and_show_every_phase() -> None:
    metrics = new_metrics("Running", "Running", "Pending")
    assert sample(metrics, "videojob_jobs", {"phase": "Running"}) == 2
    assert sample(metrics, "videojob_jobs", {"phase": "Cancelled"}) == 0
    assert 'videojob_jobs{phase="Cancelled"} 0.0' in metrics.render().decode()
    assert sample(metrics, "videojob_held_jobs") == 2
    assert sample(metrics, "videojob_operator_queue_length") == 3
    assert sample(metrics, "videojob_operator_leader") == 0
    assert sample(metrics, "videojob_operator_build_info") == 1


def test_no_metric_bears_a_name_of_a_job() -> None:
    metrics = new_metrics("Succeeded")
    metrics.count(seen({"phase": "Running"} | RESOLVED), {"phase": "Failed", "reason": "GpuFault"})
    families = text_string_to_metric_families(metrics.render().decode())
    labels = {name for family in families for each in family.samples for name in each.labels}
    assert labels <= {"outcome", "reason", "model", "profile", "phase", "kind", "version", "method", "code", "le"}
