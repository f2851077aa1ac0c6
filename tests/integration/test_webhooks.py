"""Webhooks from the end of a job to a real receiver, over failures, restarts and refusals."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, Manifest, wait_for
from operator_process import Operator, Start
from receiver import Receiver
from standardwebhooks.webhooks import Webhook

pytestmark = pytest.mark.cluster

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
LOOKS = "videojob_operator_reconcile_seconds_count"
PROMPT = "a prompt that no receiver needs"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Environment of an operator that sends webhooks to loopback."""
    (tmp_path / "secrets").write_text(SECRET + "\n")
    return {
        "VIDEOJOB_WEBHOOK_SECRET_FILE": str(tmp_path / "secrets"),
        "VIDEOJOB_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
    }


def finish(cluster: Cluster, name: str, url: str) -> Manifest:
    """Have a job end and tell of it."""
    cluster.create(name, spec={"profile": "exit-0", "webhook": {"url": url}}, prompt=PROMPT)
    return cluster.wait_for_phase(name, "Failed")


def notified(cluster: Cluster, name: str) -> Manifest:
    conditions = (cluster.get(name) or {}).get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == "Notified"), {})


def wait_for_reason(cluster: Cluster, name: str, reason: str) -> Manifest:
    wait_for(lambda: notified(cluster, name).get("reason") == reason, f"{reason} of {name}", seconds=60)
    return notified(cluster, name)


def started(start: Start, settings: dict[str, str]) -> Operator:
    operator = start(**settings)
    operator.wait_until_ready()
    return operator


def test_a_receiver_is_told_once_that_a_job_has_ended(
    empty_studio: Cluster, start: Start, settings: dict[str, str], receiver: Receiver
) -> None:
    operator = started(start, settings)
    uid = finish(empty_studio, "squirrel", receiver.url())["metadata"]["uid"]
    told = wait_for_reason(empty_studio, "squirrel", "WebhookDelivered")
    assert (told["status"], told["message"]) == ("True", "127.0.0.1 was told")
    (received,) = receiver.received
    said = Webhook(SECRET).verify(received.body, received.headers)
    assert (said["type"], said["data"]["id"], said["data"]["uid"]) == ("video.failed", "squirrel", uid)
    assert said["data"]["reason"] == "ArtifactMissing"
    assert PROMPT.encode() not in received.body
    assert PROMPT not in operator.log.read_text()
    assert operator.metric("videojob_webhook_attempts_total", outcome="WebhookDelivered") == 1
    started(start, settings)  # a second one finds nothing to tell
    empty_studio.create("panda")
    empty_studio.wait_for_phase("panda", "Starting")
    assert len(receiver.received) == 1


def test_a_receiver_in_trouble_is_tried_again(
    empty_studio: Cluster, start: Start, settings: dict[str, str], receiver: Receiver
) -> None:
    receiver.answers = [503, 0]
    started(start, settings)
    finish(empty_studio, "squirrel", receiver.url())
    waiting = wait_for_reason(empty_studio, "squirrel", "WebhookRetrying")
    assert waiting["status"] == "Unknown"
    wait_for_reason(empty_studio, "squirrel", "WebhookDelivered")
    assert len(receiver.received) == 3
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1


def test_an_operator_killed_before_it_noted_the_answer_tells_again_under_the_same_id(
    empty_studio: Cluster, start: Start, settings: dict[str, str], receiver: Receiver
) -> None:
    receiver.hold.clear()
    first = started(start, settings)
    finish(empty_studio, "squirrel", receiver.url())
    wait_for(lambda: receiver.received, "the first delivery")
    first.process.kill()
    receiver.hold.set()
    started(start, settings)
    wait_for_reason(empty_studio, "squirrel", "WebhookDelivered")
    assert len(receiver.received) == 2
    assert receiver.received[0].headers["webhook-id"] == receiver.received[1].headers["webhook-id"]
    assert receiver.received[0].body == receiver.received[1].body


def test_a_private_address_is_refused_for_good(
    empty_studio: Cluster, start: Start, settings: dict[str, str], receiver: Receiver
) -> None:
    operator = started(start, settings | {"VIDEOJOB_WEBHOOK_ALLOWED_NETWORKS": ""})
    finish(empty_studio, "squirrel", receiver.url("localhost", "/secret?token=secret"))
    refused = wait_for_reason(empty_studio, "squirrel", "WebhookRefused")
    assert refused["status"] == "False"
    assert "localhost has no public address" in refused["message"]
    assert receiver.received == []
    assert "secret" not in operator.log.read_text()


def test_without_a_secret_no_webhook_is_sent(empty_studio: Cluster, start: Start, receiver: Receiver) -> None:
    start().wait_until_ready()
    finish(empty_studio, "squirrel", receiver.url())
    assert "no webhook secret" in wait_for_reason(empty_studio, "squirrel", "WebhookRefused")["message"]
    assert receiver.received == []


def test_a_videojob_whose_time_is_over_stays_until_its_receiver_was_told(
    empty_studio: Cluster, start: Start, settings: dict[str, str], receiver: Receiver
) -> None:
    receiver.hold.clear()
    operator = started(start, settings)
    spec = {"profile": "exit-0", "webhook": {"url": receiver.url()}, "ttlSecondsAfterFinished": 0}
    empty_studio.create("squirrel", spec=spec)
    wait_for(lambda: receiver.received, "the delivery", seconds=240)
    looks = operator.metric(LOOKS)
    empty_studio.patch("squirrel", {"metadata": {"annotations": {"example.com/look": "again"}}})
    wait_for(lambda: operator.metric(LOOKS) > looks, "another look at the VideoJob", seconds=120)
    assert empty_studio.get("squirrel"), "deleted before its receiver answered"
    receiver.hold.set()
    wait_for(lambda: empty_studio.get("squirrel") is None, "the deletion of the VideoJob", seconds=240)
