"""What a webhook says, how it is signed and when it is tried again. Pure; https://www.standardwebhooks.com.

The id follows from the VideoJob's uid, so a delivery that is repeated, because an operator was killed between the
answer and its note of it, is known as the same one by its receiver.

The only memory is the condition Notified: absent or Unknown = to be told, True = told, False = given up.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from yarl import URL

from videojob.conditions import ConditionStatus, ConditionType
from videojob.phases import TERMINAL_PHASES, Phase
from videojob.reasons import Reason
from videojob_operator.manifests import Manifest, condition_of, timestamp, uid_of
from videojob_operator.observed import ended_at

COMPLETED = "video.completed"
FAILED = "video.failed"

TRIES_AT_SECONDS = (0, 5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200, 64800, 86400)
"""Seconds after the end of the job: thirteen tries within 24 hours."""

_PREFIX = "whsec_"
_MESSAGE_LENGTH = 1024


class BadSecret(ValueError):
    """A webhook secret is not `whsec_` and base64."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One POST.

    Attributes:
        url: of the receiver.
        headers: id, time and signature.
        body: JSON.
    """

    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one try.

    Attributes:
        reason: of the condition Notified.
        message: one sentence, without anything the receiver said.
    """

    reason: Reason
    message: str

    @property
    def status(self) -> ConditionStatus:
        """The condition's status."""
        if self.reason is Reason.WEBHOOK_DELIVERED:
            return ConditionStatus.TRUE
        return ConditionStatus.UNKNOWN if self.reason is Reason.WEBHOOK_RETRYING else ConditionStatus.FALSE


def is_owed(video_job: Manifest | None) -> bool:
    """Tell whether somebody waits to be told of the end of this VideoJob."""
    if video_job is None or not video_job["spec"].get("webhook"):
        return False
    if video_job.get("status", {}).get("phase") not in TERMINAL_PHASES:
        return False
    return bool(notified(video_job).get("status", ConditionStatus.UNKNOWN.value) == ConditionStatus.UNKNOWN)


def notified(video_job: Manifest) -> Manifest:
    """Return the condition Notified, empty where there is none."""
    return condition_of(video_job, ConditionType.NOTIFIED)


def seconds_to_next_try(since_end_seconds: float) -> float | None:
    """Return how long to wait after a try that was in vain; None = no more."""
    return next((due - since_end_seconds for due in TRIES_AT_SECONDS if due > since_end_seconds), None)


def seconds_since_end(video_job: Manifest, now: datetime) -> float:
    """Return how long ago the job ended; 0 where the clocks do not agree on it."""
    ended = ended_at(video_job)
    return max(0.0, (now - ended).total_seconds()) if ended else 0.0


def build_delivery(video_job: Manifest, secrets: Sequence[bytes], now: datetime) -> Delivery:
    """Build the signed POST.

    Args:
        video_job: one that has ended.
        secrets: of the installation; each adds a signature, so that secrets can be changed without a gap.
        now: the time of this try.
    """
    body = json.dumps(_payload(video_job), separators=(",", ":"), ensure_ascii=False).encode()
    message_id, sent_at = f"msg_{uid_of(video_job)}", str(int(now.timestamp()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "videojob",
        "webhook-id": message_id,
        "webhook-timestamp": sent_at,
        "webhook-signature": " ".join(sign(secret, message_id, sent_at, body) for secret in secrets),
    }
    return Delivery(video_job["spec"]["webhook"]["url"], headers, body)


def sign(secret: bytes, message_id: str, sent_at: str, body: bytes) -> str:
    """Sign as Standard Webhooks says: `v1,` and the base64 of the HMAC-SHA256 of id, time and body."""
    digest = hmac.new(secret, f"{message_id}.{sent_at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def read_secrets(text: str) -> tuple[bytes, ...]:
    """Read secrets, one a line, each `whsec_` and base64.

    Raises:
        BadSecret: a line is something else. The text does not quote it.
    """
    secrets = []
    for number, line in enumerate(filter(None, map(str.strip, text.splitlines())), start=1):
        try:
            secret = base64.b64decode(line.removeprefix(_PREFIX), validate=True)
        except binascii.Error as error:
            raise BadSecret(f"secret {number} is not base64") from error
        if not line.startswith(_PREFIX) or len(secret) < 24:
            raise BadSecret(f"secret {number} is not {_PREFIX} and the base64 of at least 24 bytes")
        secrets.append(secret)
    if not secrets:
        raise BadSecret("there is no secret")
    return tuple(secrets)


def conditions_after(video_job: Manifest, outcome: Outcome, now: datetime) -> list[Manifest]:
    """Return the conditions of the VideoJob with what came of a try."""
    before = notified(video_job)
    changed = before.get("status") != outcome.status.value
    condition = {
        "type": ConditionType.NOTIFIED.value,
        "status": outcome.status.value,
        "reason": outcome.reason.value,
        "message": outcome.message[:_MESSAGE_LENGTH],
        "lastTransitionTime": timestamp(now) if changed else before["lastTransitionTime"],
        "observedGeneration": video_job["metadata"]["generation"],
    }
    conditions: list[Manifest] = video_job["status"].get("conditions") or []
    return [*(each for each in conditions if each["type"] != ConditionType.NOTIFIED.value), condition]


def host_of(url: str) -> str:
    """Return the host of a URL as it is called, which is the only part of it that may be logged.

    Paths and queries hold secrets of users. `URL` is the parser of the HTTP client too, so both mean the same host.
    """
    try:
        return URL(url).raw_host or ""
    except ValueError:
        return ""


def _payload(video_job: Manifest) -> dict[str, Any]:
    """Say how the job ended. Its prompt is left out: it may be private, and the receiver knows the job by its id."""
    meta, status = video_job["metadata"], video_job["status"]
    names = ("phase", "reason", "message", "attempts", "queuedTime", "startTime", "completionTime", "resolved")
    data = {
        "id": meta["name"],
        "namespace": meta["namespace"],
        "uid": meta["uid"],
        **{name: status[name] for name in names if name in status},
    }
    if status["phase"] == Phase.SUCCEEDED:
        data["artifacts"] = status.get("artifacts", {})
    kind = COMPLETED if status["phase"] == Phase.SUCCEEDED else FAILED
    return {"type": kind, "timestamp": status.get("completionTime"), "data": data}
