"""What the routes of the OpenAI Videos protocol answer."""

from typing import Any, Literal

from pydantic import Field

from videojob_api.answers import Answer, example

_VIDEO = {
    "id": "job-20250914-121030-x7k2p",
    "object": "video",
    "model": "CogVideoX-5b",
    "status": "in_progress",
    "progress": 24,
    "created_at": 1757851830,
    "completed_at": None,
    "expires_at": None,
    "prompt": "A squirrel riding a skateboard in Times Square",
    "remixed_from_video_id": None,
    "seconds": "6",
    "size": "720x480",
    "error": None,
    "num_frames": 49,
    "fps": 8,
    "seed": 42,
    "batch": None,
}

VideoStatus = Literal["queued", "in_progress", "completed", "failed"]


class VideoError(Answer):
    """Why there will be no video."""

    code: str = Field(
        description="`cancelled`, or the reason of the job: a stable word.", examples=["OutOfMemory", "cancelled"]
    )
    message: str = Field(description="One sentence for a person.")


class Video(Answer):
    """A job in the words of the protocol."""

    model_config = example(**_VIDEO)

    id: str = Field(description="Name of the VideoJob.", examples=["job-20250914-121030-x7k2p"])
    object: Literal["video"] = "video"
    model: str = Field(examples=["CogVideoX-5b"])
    status: VideoStatus = Field(description="A cancelled job is `failed` with the error code `cancelled`.")
    progress: int = Field(ge=0, le=100, description="Percent.")
    created_at: int = Field(description="Seconds since 1970.", examples=[1757851830])
    completed_at: int | None = Field(None, description="When the job ended, well or badly.")
    expires_at: int | None = Field(None, description="When the service forgets the job.")
    prompt: str
    remixed_from_video_id: str | None = None
    seconds: str = Field(description="Time from the first frame to the last.", examples=["6"])
    size: str = Field(description="Width and height in pixels.", examples=["720x480"])
    error: VideoError | None = None
    num_frames: int | None = Field(None, description="Beyond the protocol.", examples=[49])
    fps: int | None = Field(None, description="Beyond the protocol.", examples=[8])
    seed: int | None = Field(None, description="Beyond the protocol; null until it is drawn.", examples=[42])
    batch: list[str] | None = Field(
        None, description="Beyond the protocol: ids of all videos of the request that are there, where `n` was above 1."
    )


class VideoPage(Answer):
    """Some videos, by age."""

    model_config = example(object="list", data=[_VIDEO], has_more=False, first_id=_VIDEO["id"], last_id=_VIDEO["id"])

    object: Literal["list"] = "list"
    data: list[Video]
    has_more: bool = Field(description="There are more behind `last_id`: give it as `after`.")
    first_id: str | None = None
    last_id: str | None = None


class VideoDeleted(Answer):
    """A video is gone."""

    model_config = example(id=_VIDEO["id"], object="video.deleted", deleted=True)

    id: str = Field(examples=["job-20250914-121030-x7k2p"])
    object: Literal["video.deleted"] = "video.deleted"
    deleted: Literal[True] = True


class Model(Answer):
    """A model of the catalogue."""

    id: str = Field(examples=["CogVideoX-5b"])
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "videojob"


class ModelPage(Answer):
    """All models of the catalogue."""

    model_config = example(
        object="list", data=[{"id": "CogVideoX-5b", "object": "model", "created": 0, "owned_by": "videojob"}]
    )

    object: Literal["list"] = "list"
    data: list[Model]


class ProtocolErrorDetail(Answer):
    """What was wrong, in the shape the official clients read."""

    message: str = Field(description="One sentence for a person.")
    type: str = Field(examples=["invalid_request_error"])
    param: str | None = Field(description="The field at fault.", examples=["seconds"])
    code: str = Field(description="Stable word for programs.", examples=["InvalidRequest"])
    nearest: Any = Field(None, description="Beyond the protocol: the legal value nearest to the one given.")


class ProtocolErrorAnswer(Answer):
    """The body of every answer under /v1 that is not a success."""

    model_config = example(
        error={
            "message": "seconds must be at most 6: the model renders 8k+1 from 9 to 49 frames, here at 8 fps",
            "type": "invalid_request_error",
            "param": "seconds",
            "code": "InvalidRequest",
            "nearest": "6",
        }
    )

    error: ProtocolErrorDetail
