"""The exit codes of the renderer: the contract between its process and the Job's podFailurePolicy."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the end of a renderer's process says about the job."""

    OK = 0  # the video is uploaded and recorded in the status
    FAILED = 1  # any other fault: tried again, counted against backoffLimit
    INVALID_REQUEST = 64  # the request can never be rendered: the Job fails at once
    CONTENT_REFUSED = 65  # a content policy refused the request: the Job fails at once
    GPU_FAULT = 70  # CUDA or GPU fault: tried again, better on another node
    INTERRUPTED = 75  # asked to stop: tried again free of charge
    OUT_OF_MEMORY = 137  # killed by the kernel's out-of-memory killer (128 + SIGKILL), never chosen by the renderer
