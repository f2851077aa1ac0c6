"""How a render can end badly: one tree, each leaf with its reason word and the exit code it stands for.

RendererError
├── InvalidEnvironment   the operator handed over something incomplete
├── InvalidRequest       the request can never be rendered by this renderer
├── WeightsUnavailable   files of the model are missing, damaged or out of reach
├── NonFiniteLatents     the model gave NaN or infinity
├── OutOfMemory          the GPU, or the allocator of the CPU, had no memory left
├── GpuFault             any other fault of CUDA or the GPU
├── EncoderFailed        ffmpeg gave up
├── DiskFull             no space left for the video or the model
├── DiskUnwritable       a folder that must be written cannot be
├── StorageUnavailable   S3 refused or did not answer
│   └── StorageForbidden the keys are good, but not for this
├── StatusUnavailable    the API server refused or did not answer
│   └── StatusAway       it did not answer
└── Unexpected           none of these
Interrupted              asked to stop (a BaseException: no library may catch it on its way up)
"""

from typing import ClassVar

from videojob.exits import ExitCode
from videojob.reasons import Reason


class RendererError(Exception):
    """A render that failed.

    Attributes:
        reason: the stable word for conditions, REST and metrics.
        exit_code: what the process ends with, which decides whether and how the Job tries again.
        message: one sentence for the user, never with the prompt.
    """

    reason: ClassVar[Reason] = Reason.RENDERER_FAILED
    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidEnvironment(RendererError):
    """The operator handed over something incomplete; the same again would be no better."""

    reason = Reason.INVALID_REQUEST
    exit_code = ExitCode.INVALID_REQUEST


class InvalidRequest(RendererError):
    """The request can never be rendered by this renderer."""

    reason = Reason.INVALID_REQUEST
    exit_code = ExitCode.INVALID_REQUEST


class WeightsUnavailable(RendererError):
    """Files of the model are missing, damaged or out of reach."""

    reason = Reason.WEIGHTS_UNAVAILABLE


class NonFiniteLatents(RendererError):
    """The model gave NaN or infinity, which would decode to black frames."""

    reason = Reason.NON_FINITE_LATENTS


class OutOfMemory(RendererError):
    """An allocation failed. Exit code 137 is the kernel's alone, so this ends as an ordinary failure."""

    reason = Reason.OUT_OF_MEMORY


class GpuFault(RendererError):
    """CUDA or the GPU failed; another node may do better."""

    reason = Reason.GPU_FAULT
    exit_code = ExitCode.GPU_FAULT


class EncoderFailed(RendererError):
    """The ffmpeg process gave up."""


class DiskFull(RendererError):
    """There is no space left for the video, or for a model, on this node."""

    reason = Reason.DISK_FULL


class DiskUnwritable(RendererError):
    """A folder that must be written is read-only, not there, or somebody else's."""

    reason = Reason.DISK_UNWRITABLE


class StorageUnavailable(RendererError):
    """S3 refused the upload, or did not answer for as long as we were willing to wait."""

    reason = Reason.STORAGE_UNAVAILABLE


class StorageForbidden(StorageUnavailable):
    """S3 knows the keys, and they may not do this."""


class StatusUnavailable(RendererError):
    """The result could not be recorded in the VideoJob."""


class StatusAway(StatusUnavailable):
    """The API server did not answer for as long as we were willing to wait; it may record the result later."""


class Unexpected(RendererError):
    """A fault without a class of its own."""


class Interrupted(BaseException):
    """The process was asked to stop (SIGTERM).

    Like KeyboardInterrupt it is no Exception: it may rise anywhere, also inside libraries that catch every Exception.
    """
