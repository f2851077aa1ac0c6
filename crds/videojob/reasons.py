"""The stable catalogue of reasons: the same word in a condition, in a REST error's `code` and in a metric.

A released word is never renamed and never changes its meaning; scripts of users compare them.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a VideoJob is where it is."""

    # Accepted
    ACCEPTED = "Accepted"  # the request is valid here
    INVALID_REQUEST = "InvalidRequest"  # the request breaks a rule of its model
    UNKNOWN_MODEL = "UnknownModel"  # the model is not in the catalogue
    UNKNOWN_PROFILE = "UnknownProfile"  # the profile is not one of the administrator's
    JOB_REJECTED = "JobRejected"  # the cluster refused the Job: quota, policy, rights
    NAME_IN_USE = "NameInUse"  # a Job of this name belongs to something else

    # Waiting
    WAITING_FOR_POD = "WaitingForPod"  # the Job is there, its pod not yet
    SUSPENDED = "Suspended"  # the Job is suspended, by spec.suspend or by Kueue
    UNSCHEDULABLE = "Unschedulable"  # no node has room or fits
    IMAGE_PULL_FAILED = "ImagePullFailed"  # the renderer image cannot be pulled
    CONTAINER_CONFIG_ERROR = "ContainerConfigError"  # a Secret or ConfigMap of the pod is missing
    RETRYING = "Retrying"  # the last pod ended early, another one follows

    # Working
    STARTING = "Starting"  # a node is assigned, the renderer starts
    RENDERING = "Rendering"  # the renderer is at work
    UPLOADING = "Uploading"  # the video goes to S3

    # Ended well, or by wish
    COMPLETED = "Completed"  # the video is there
    CANCELLED = "Cancelled"  # spec.cancel was set

    # Ended badly
    BACKOFF_LIMIT_EXCEEDED = "BackoffLimitExceeded"  # too many pods failed
    DEADLINE_EXCEEDED = "DeadlineExceeded"  # activeDeadlineSeconds passed
    RENDERER_FAILED = "RendererFailed"  # the renderer ended with an error it did not name
    CONTENT_REFUSED = "ContentRefused"  # a content policy refused the request
    GPU_FAULT = "GpuFault"  # CUDA or the GPU failed
    OUT_OF_MEMORY = "OutOfMemory"  # the kernel or the GPU ran out of memory
    INTERRUPTED = "Interrupted"  # the pod was asked to stop
    NON_FINITE_LATENTS = "NonFiniteLatents"  # the model produced NaN or infinity
    WEIGHTS_UNAVAILABLE = "WeightsUnavailable"  # model files are missing, damaged or cannot be downloaded
    STORAGE_UNAVAILABLE = "StorageUnavailable"  # S3 refused or did not answer
    DISK_FULL = "DiskFull"  # no space left for the video on the node
    ARTIFACT_MISSING = "ArtifactMissing"  # the renderer ended well but recorded no video
