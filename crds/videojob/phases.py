"""Where a VideoJob stands: its phase (the operator's word) and its stage (the renderer's word)."""

from enum import StrEnum


class Phase(StrEnum):
    """The summary of a VideoJob, derived from its conditions by the operator, never read back to decide."""

    PENDING = "Pending"  # accepted, no pod is running
    QUEUED = "Queued"  # the Job is suspended, by us or by Kueue
    STARTING = "Starting"  # a node is assigned: image pull, model load
    RUNNING = "Running"  # the renderer encodes, denoises or decodes
    UPLOADING = "Uploading"  # the video goes to S3
    SUCCEEDED = "Succeeded"  # the video is in S3 and recorded in status.artifacts
    FAILED = "Failed"  # given up; status.reason says why
    CANCELLED = "Cancelled"  # spec.cancel was set before the end


TERMINAL_PHASES = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED})


class Stage(StrEnum):
    """What the renderer is doing, in this order."""

    LOADING = "Loading"  # weights into memory
    ENCODING = "Encoding"  # the prompt into embeddings
    DENOISING = "Denoising"  # noise into latents, step by step
    DECODING = "Decoding"  # latents into frames and MP4
    UPLOADING = "Uploading"  # files to S3
