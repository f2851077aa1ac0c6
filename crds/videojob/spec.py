"""The spec of a VideoJob: the request, and how the cluster should treat it."""

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from videojob.base import Manifest
from videojob.request import VideoJobRequest

DEFAULT_PROFILE = "default"
ONE_YEAR_SECONDS = 365 * 24 * 3600

Count = Annotated[int, Field(ge=0, le=100, json_schema_extra={"format": "int32"})]
PositiveSeconds = Annotated[int, Field(ge=1, le=ONE_YEAR_SECONDS, json_schema_extra={"format": "int64"})]
Seconds = Annotated[int, Field(ge=0, le=ONE_YEAR_SECONDS, json_schema_extra={"format": "int64"})]
ProfileName = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
WebhookUrl = Annotated[str, StringConstraints(min_length=1, max_length=2048, pattern=r"^https?://[^/\s]+(/\S*)?$")]


class Webhook(Manifest):
    """Whom to tell when the job has ended."""

    model_config = ConfigDict(strict=True)

    url: WebhookUrl = Field(description="Gets one signed POST (Standard Webhooks) when the job has ended.")


class VideoJobSpec(Manifest):
    """What to render and how."""

    model_config = ConfigDict(strict=True)

    request: VideoJobRequest = Field(description="What to render; immutable.")
    profile: ProfileName = Field(
        DEFAULT_PROFILE,
        description="A runtime profile of the administrator: nodes, GPUs, image, speed options; immutable.",
    )
    suspend: bool = Field(default=False, description="True: no GPU is used until it is false again.")
    cancel: bool = Field(
        default=False, description="Set to true to end the job for good and free its GPU; cannot be unset."
    )
    backoff_limit: Count = Field(3, description="How many failed pods are replaced before the job fails.")
    start_deadline_seconds: PositiveSeconds | None = Field(
        None,
        description="Give up when no pod runs this long after the creation, or after a suspension. Absent: never.",
    )
    active_deadline_seconds: PositiveSeconds | None = Field(
        None, description="Give up when one run takes this long, its wait for a node not counted. Absent: never."
    )
    ttl_seconds_after_finished: Seconds | None = Field(
        None, description="Delete the VideoJob this long after its end; its video stays in S3. Absent: never."
    )
    webhook: Webhook | None = Field(None, description="Whom to tell when the job has ended.")
