"""What a webhook says, how it is signed, and when it is tried again."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from tests.operator import worlds as w

from videojob.reasons import Reason
from videojob_operator.webhook import (
    TRIES_AT_SECONDS,
    BadSecret,
    Outcome,
    build_delivery,
    conditions_after,
    host_of,
    is_owed,
    read_secrets,
    seconds_since_end,
    seconds_to_next_try,
)

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(32)).decode()
MARKER = "a prompt that nobody else may see"


def finished(phase: str = "Succeeded", **status: Any) -> dict[str, Any]:
    video_job = w.video_job()
    video_job["spec"]["webhook"] = {"url": "https://example.com/hook?token=secret"}
    video_job["spec"]["request"]["prompt"] = MARKER
    video_job["status"] = {
        "phase": phase,
        "reason": "Completed",
        "message": "the video is in S3",
        "completionTime": "2026-01-01T00:00:00Z",
        "artifacts": {"video": {"uri": "s3://videos/a.mp4", "bytes": 7}},
        **status,
    }
    return video_job


def verified(delivery: Any, secret: str) -> Any:
    return Webhook(secret).verify(delivery.body, delivery.headers)


def test_a_receiver_verifies_it_with_the_library_of_standard_webhooks() -> None:
    video_job = finished()
    delivery = build_delivery(video_job, read_secrets(SECRET), datetime.now(UTC))
    said = verified(delivery, SECRET)
    assert said["type"] == "video.completed"
    assert said["timestamp"] == "2026-01-01T00:00:00Z"
    assert said["data"]["id"] == video_job["metadata"]["name"]
    assert said["data"]["artifacts"]["video"]["uri"] == "s3://videos/a.mp4"
    assert delivery.url == "https://example.com/hook?token=secret"


def test_a_changed_body_another_secret_and_an_old_message_are_refused() -> None:
    delivery = build_delivery(finished(), read_secrets(SECRET), datetime.now(UTC))
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(delivery.body + b" ", delivery.headers)
    with pytest.raises(WebhookVerificationError):
        verified(delivery, OTHER)
    old = build_delivery(finished(), read_secrets(SECRET), datetime.now(UTC) - timedelta(hours=1))
    with pytest.raises(WebhookVerificationError, match="too old"):
        verified(old, SECRET)


def test_while_secrets_are_changed_both_verify() -> None:
    delivery = build_delivery(finished(), read_secrets(f"{SECRET}\n{OTHER}\n"), datetime.now(UTC))
    assert verified(delivery, SECRET) == verified(delivery, OTHER)


def test_each_try_has_the_same_id_and_body() -> None:
    first = build_delivery(finished(), read_secrets(SECRET), datetime(2026, 1, 1, tzinfo=UTC))
    later = build_delivery(finished(), read_secrets(SECRET), datetime(2026, 1, 2, tzinfo=UTC))
    assert (first.headers["webhook-id"], first.body) == (later.headers["webhook-id"], later.body)
    assert first.headers["webhook-timestamp"] != later.headers["webhook-timestamp"]


def test_no_webhook_holds_a_prompt() -> None:
    assert MARKER.encode() not in build_delivery(finished(), read_secrets(SECRET), datetime.now(UTC)).body


@pytest.mark.parametrize("phase", ["Failed", "Cancelled"])
def test_a_job_that_ended_otherwise_has_failed_and_shows_no_artifacts(phase: str) -> None:
    said = json.loads(build_delivery(finished(phase), read_secrets(SECRET), datetime.now(UTC)).body)
    assert (said["type"], said["data"]["phase"]) == ("video.failed", phase)
    assert "artifacts" not in said["data"]


def test_only_jobs_that_ended_with_a_webhook_untold_are_owed_one() -> None:
    assert is_owed(finished())
    assert not is_owed(None)
    assert not is_owed(w.video_job())
    running = finished("Running")
    assert not is_owed(running)
    for reason, owed in (
        ("WEBHOOK_DELIVERED", 0),
        ("WEBHOOK_FAILED", 0),
        ("WEBHOOK_REFUSED", 0),
        ("WEBHOOK_RETRYING", 1),
    ):
        told = finished()
        told["status"]["conditions"] = conditions_after(told, Outcome(Reason[reason], "said"), datetime.now(UTC))
        assert is_owed(told) == bool(owed)


def test_the_condition_keeps_its_time_while_its_status_stays_and_the_others_stay_as_they_are() -> None:
    video_job = finished(conditions=[{"type": "Succeeded", "status": "True"}])
    first = conditions_after(video_job, Outcome(Reason.WEBHOOK_RETRYING, "one"), datetime(2026, 1, 1, tzinfo=UTC))
    video_job["status"]["conditions"] = first
    (succeeded, again) = conditions_after(
        video_job, Outcome(Reason.WEBHOOK_RETRYING, "two"), datetime(2026, 1, 2, tzinfo=UTC)
    )
    assert succeeded == {"type": "Succeeded", "status": "True"}
    assert (again["status"], again["message"]) == ("Unknown", "two")
    assert again["lastTransitionTime"] == "2026-01-01T00:00:00Z"


def test_tries_come_rarer_and_rarer_and_end_after_a_day() -> None:
    moment, tries = 0.0, 1
    while (pause := seconds_to_next_try(moment)) is not None:
        assert pause > 0
        moment, tries = moment + pause, tries + 1
    assert (moment, tries) == (86400, len(TRIES_AT_SECONDS))
    assert seconds_to_next_try(90000) is None


def test_an_end_that_lies_in_the_future_of_a_wrong_clock_is_now() -> None:
    assert seconds_since_end(finished(), datetime(2025, 12, 31, 23, tzinfo=UTC)) == 0
    assert seconds_since_end(finished(), datetime(2026, 1, 1, 0, 1, tzinfo=UTC)) == 60


def test_the_tries_go_by_the_api_servers_clock_and_not_by_a_nodes() -> None:
    written = {"type": "Succeeded", "status": "True", "lastTransitionTime": "2026-01-01T03:00:00Z"}
    video_job = finished(conditions=[written])  # its completionTime, which a kubelet wrote, is three hours older
    since_end = seconds_since_end(video_job, datetime(2026, 1, 1, 3, tzinfo=UTC))
    assert (since_end, seconds_to_next_try(since_end)) == (0, 5)


@pytest.mark.parametrize("text", ["", "\n", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!!", SECRET.removeprefix("whsec_")])
def test_what_is_no_secret_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(BadSecret) as raised:
        read_secrets(text)
    assert text.strip() not in str(raised.value) or text.strip() in {"", "whsec_"}


def test_only_the_host_of_a_url_is_told() -> None:
    assert host_of("https://user:pass@example.com:8443/path?token=1") == "example.com"
    assert host_of("https://[broken") == ""


def test_the_host_that_is_told_is_the_one_that_is_called() -> None:
    assert host_of("http://１２７.０.０.１:8081/") == "127.0.0.1"  # noqa: RUF001 - that is the point
    assert host_of("https://Bücher.example/") == "xn--bcher-kva.example"
