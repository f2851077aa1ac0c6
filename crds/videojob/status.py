"""The status of a VideoJob, split by writer.

The operator writes everything but `progress`, `artifacts`, `renderer` and `resolved.seed`; the renderer writes only
those, by merge patch of maps, never of a list. So neither can undo the other's fields. One exception: where the
VideoJob lacks the `artifacts` that a renderer left in its termination message, the operator records them.
"""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from videojob.base import Manifest
from videojob.conditions import ConditionStatus, ConditionType
from videojob.phases import Phase, Stage
from videojob.request import Int32, Int64

Word = Annotated[str, StringConstraints(max_length=64)]
Sentence = Annotated[str, StringConstraints(max_length=1024)]
Name = Annotated[str, StringConstraints(max_length=253)]
Uri = Annotated[str, StringConstraints(max_length=2048)]
Percent = Annotated[int, Field(ge=0, le=100, json_schema_extra={"format": "int32"})]
NonNegative = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]


class Condition(Manifest):
    """A metav1.Condition."""

    type: ConditionType = Field(description="Accepted, Scheduled, Running, Succeeded or Notified.")
    status: ConditionStatus = Field(description="True, False or Unknown.")
    reason: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="A word of the stable catalogue."
    )
    message: Sentence = Field(description="One sentence for a person.")
    last_transition_time: datetime = Field(description="When the status last changed.")
    observed_generation: Int64 | None = Field(None, description="The generation of the spec this speaks of.")


class ResolvedValues(Manifest):
    """What is really rendered, all defaults filled in."""

    model: Word | None = None
    num_frames: Int32 | None = None
    width: Int32 | None = None
    height: Int32 | None = None
    fps: Int32 | None = None
    steps: Int32 | None = None
    guidance_scale: float | None = None
    seed: Int64 | None = Field(None, description="Written by the renderer when it drew the seed itself.")


class Progress(Manifest):
    """How far the renderer is. Written by the renderer."""

    stage: Stage = Field(description="Loading, Encoding, Denoising, Decoding or Uploading.")
    step: Int32 | None = Field(None, description="Denoising steps done.")
    steps: Int32 | None = Field(None, description="Denoising steps in all.")
    percent: Percent = Field(description="Of the whole job; never runs backwards within an attempt.")
    eta_seconds: NonNegative | None = Field(None, description="Approximate seconds to the end.")
    updated_time: datetime
    pod_name: Name = Field(description="The attempt that wrote this.")


class Artifact(Manifest):
    """One file in S3."""

    uri: Uri = Field(description="s3://BUCKET/KEY")
    bytes: NonNegative | None = None
    sha256: Annotated[str, StringConstraints(pattern="^[a-f0-9]{64}$", max_length=64)] | None = None
    content_type: Word | None = None
    width: Int32 | None = None
    height: Int32 | None = None
    frames: Int32 | None = None
    fps: Int32 | None = None
    duration_seconds: float | None = None


class Spritesheet(Artifact):
    """Many small frames of the video in one picture, in reading order."""

    columns: Int32 | None = Field(None, description="Tiles in a row.")
    rows: Int32 | None = Field(None, description="Rows of tiles; the last may be shorter.")
    tiles: Int32 | None = Field(None, description="Tiles in all.")
    tile_width: Int32 | None = None
    tile_height: Int32 | None = None
    frame_interval: Int32 | None = Field(None, description="Frames of the video from one tile to the next.")


class Artifacts(Manifest):
    """The files of the finished job. Written by the renderer; `video` is the commit of a render."""

    video: Artifact | None = None
    thumbnail: Artifact | None = None
    spritesheet: Spritesheet | None = None
    manifest: Artifact | None = None


class StageSeconds(Manifest):
    """Seconds spent in each stage."""

    load: float | None = None
    encode_prompt: float | None = None
    denoise: float | None = None
    decode: float | None = None
    upload: float | None = None


class AppliedSpeed(Manifest):
    """Each speed option as it took effect, which may be less than the profile asks for."""

    attention: Word | None = Field(None, description="The kernel in use, or stock.")
    compile: Word | None = Field(None, description="off or regional.")
    fp8: bool | None = None
    cache: Word | None = Field(None, description="none, or the step cache with its setting.")
    cfg_parallel: Int32 | None = Field(None, description="GPUs in use.")
    embedding_cache: Word | None = Field(None, description="off, hit or miss.")
    memory: Word | None = Field(None, description="The rung of the memory ladder: resident, tiledDecode or offload.")
    lossless: bool | None = Field(None, description="Whether no arithmetic was left out.")
    note: Sentence | None = Field(None, description="What the profile asks for and this node could not give.")


class RendererReport(Manifest):
    """With what the video was rendered. Written by the renderer."""

    video_job_uid: Word | None = Field(None, description="The VideoJob that the writer was started for.")
    image: Annotated[str, StringConstraints(max_length=512)] | None = None
    version: Word | None = None
    gpu: Annotated[str, StringConstraints(max_length=128)] | None = Field(None, description="Absent on a CPU.")
    gpu_utilization: Percent | None = Field(None, description="Mean of the job's GPUs, when it was last told.")
    gpu_memory_bytes: NonNegative | None = Field(None, description="In use on the job's GPUs, when it was last told.")
    gpu_memory_total_bytes: NonNegative | None = Field(None, description="Of the job's GPUs.")
    model_revision: Annotated[str, StringConstraints(max_length=128)] | None = None
    torch: Word | None = None
    diffusers: Word | None = None
    dtype: Word | None = None
    peak_memory_bytes: NonNegative | None = None
    seconds: StageSeconds | None = None
    resumed_from_step: Int32 | None = Field(None, description="Denoising steps that an earlier pod had done.")
    checkpoint_ignored: Sentence | None = Field(None, description="Why the checkpoint of an earlier pod was not used.")
    prompt_tokens_cut: Int32 | None = Field(
        None,
        description="Tokens at the prompt's end that the model does not read: it takes 226. Absent where none are.",
    )
    negative_prompt_tokens_cut: Int32 | None = Field(None, description="The same of the negative prompt.")
    speed: AppliedSpeed | None = Field(None, description="The speed options as they took effect.")


class VideoJobStatus(Manifest):
    """Where a VideoJob stands."""

    observed_generation: Int64 | None = None
    phase: Phase | None = Field(None, description="Summary of the conditions; a terminal phase never changes.")
    reason: Word | None = Field(None, description="A word of the stable catalogue.")
    message: Sentence | None = Field(None, description="One sentence for a person.")
    hint: Sentence | None = Field(None, description="What can be done about it. Absent where nothing need be done.")
    conditions: list[Condition] | None = Field(None, max_length=16)
    job_name: Name | None = None
    attempts: Int32 | None = Field(None, description="Pods started so far, disruptions included.")
    failures: Int32 | None = Field(None, description="Pods that failed and count against spec.backoffLimit.")
    forgiven_interruptions: Int32 | None = Field(
        None,
        description="Interruptions up to the last spec.suspend; maxInterruptions of the profile leaves them aside.",
    )
    pod_name: Name | None = None
    node_name: Name | None = None
    avoided_nodes: list[Name] | None = Field(
        None, max_length=128, description="Nodes whose GPU failed under this job; none of its pods goes there again."
    )
    queued_time: datetime | None = None
    start_time: datetime | None = None
    completion_time: datetime | None = None
    resolved: ResolvedValues | None = None
    progress: Progress | None = None
    artifacts: Artifacts | None = None
    renderer: RendererReport | None = None
