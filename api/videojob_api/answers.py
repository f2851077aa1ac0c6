"""What the service answers: the bodies of all routes, as clients and the OpenAPI document see them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

StatusWord = Literal["pending", "processing", "completed", "failed"]
Percentage = Annotated[float, Field(ge=0, le=100)]


class Answer(BaseModel):
    """A body the service writes."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)


def example(**values: Any) -> ConfigDict:
    """Return the configuration of a model that shows a whole body in the OpenAPI document."""
    return ConfigDict(json_schema_extra={"example": values})


_JOB = {
    "job_id": "job-20250914-121030-x7k2p",
    "status": "processing",
    "phase": "Running",
    "reason": "Rendering",
    "message": "the renderer is at work",
    "hint": None,
    "model": "CogVideoX-5b",
    "progress": {"stage": "Denoising", "step": 12, "steps": 50, "percent": 24, "eta_seconds": 31},
    "queue_position": None,
    "eta_seconds": 31,
    "created_time": "2025-09-14T12:10:30Z",
    "started_time": "2025-09-14T12:11:02Z",
    "completed_time": None,
    "video_url": None,
}
_REQUEST = {"prompt": "A squirrel", "model": "CogVideoX-5b", "seed": 42, "profile": "default"}


class ErrorDetail(Answer):
    """What was wrong, told so that a user or a program can mend it."""

    code: str = Field(description="Stable word for programs.", examples=["InvalidRequest"])
    message: str = Field(description="One sentence for a person.")
    field: str | None = Field(None, description="The field at fault.", examples=["num_frames"])
    nearest: Any = Field(None, description="The legal value nearest to the one given.", examples=[49])
    request_id: str = Field(description="Also in the header X-Request-ID and in the service's logs.")


class ErrorAnswer(Answer):
    """The body of every answer that is not a success."""

    model_config = example(
        error={
            "code": "InvalidRequest",
            "message": "num_frames must be 8k+1 from 9 to 49 for CogVideoX-2b",
            "field": "num_frames",
            "nearest": 49,
            "request_id": "6f1c2a…",
        }
    )

    error: ErrorDetail


class AcceptedJob(Answer):
    """One of several jobs that were created."""

    job_id: str = Field(examples=["job-20250914-121030-x7k2p-2"])
    status: StatusWord
    seed: int = Field(examples=[43])


class Accepted(Answer):
    """A job was created."""

    model_config = example(job_id="job-20250914-121030-x7k2p", status="pending")

    job_id: str = Field(examples=["job-20250914-121030-x7k2p"])
    status: StatusWord
    jobs: list[AcceptedJob] | None = Field(None, description="All jobs, the first included, where `n` is above 1.")


class JobProgress(Answer):
    """How far the renderer is."""

    stage: str = Field(description="Loading, Encoding, Denoising, Decoding or Uploading.")
    step: int | None = Field(None, description="Denoising steps done.")
    steps: int | None = Field(None, description="Denoising steps in all.")
    percent: int = Field(description="Of the whole job.")
    eta_seconds: int | None = Field(None, description="Approximate seconds to the end.")


class JobAnswer(Answer):
    """Where a job stands."""

    model_config = example(**_JOB)

    job_id: str
    status: StatusWord
    phase: str = Field(description="Status in finer words: the phase of the VideoJob.")
    reason: str | None = Field(None, description="Why it is there: a stable word.")
    message: str | None = Field(None, description="Why it is there: one sentence.")
    hint: str | None = Field(None, description="What can be done about it; null where nothing need be done.")
    model: str | None = None
    progress: JobProgress | None = None
    queue_position: int | None = Field(
        None, description="Among the jobs of its profile that wait, 1 = the next. Approximate: priorities may differ."
    )
    eta_seconds: int | None = Field(
        None, description="Approximate seconds to the end, waiting included; null where nothing is known yet."
    )
    created_time: datetime
    started_time: datetime | None = Field(None, description="When rendering began.")
    completed_time: datetime | None = Field(None, description="When the job ended, well or badly.")
    video_url: str | None = Field(None, description="Where to download the video, once there is one.")


class ListedJob(JobAnswer):
    """Where a job stands, and what was asked for."""

    model_config = example(**_JOB, request=_REQUEST)

    request: dict[str, Any] = Field(
        description="A body for `POST /generate` that gives the same video again: with the defaults and the seed, once "
        "they are decided.",
        examples=[_REQUEST],
    )


class JobList(Answer):
    """One page of jobs, by age."""

    model_config = example(jobs=[{**_JOB, "request": _REQUEST}], **{"continue": None})

    jobs: list[ListedJob]
    continue_: str | None = Field(
        None, alias="continue", description="Give this as `continue` to get the next page; null on the last one."
    )


class HealthAnswer(Answer):
    """How busy the service is."""

    model_config = example(cpu_usage=12.5, memory_usage=31.0, gpu_usage=97.0, active_jobs=3, completed_jobs=1204)

    cpu_usage: Percentage = Field(description="Of the machine the API runs on.")
    memory_usage: Percentage = Field(description="Of the machine the API runs on.")
    gpu_usage: Percentage = Field(description="Mean over the running renderers; 0 where no GPU reports.")
    active_jobs: int = Field(description="Jobs that have not ended.")
    completed_jobs: int = Field(description="Jobs whose video is there.")


class ProbeAnswer(Answer):
    """The service is well."""

    model_config = example(status="ok")

    status: Literal["ok"] = "ok"
