"""The stable catalogue of reasons: the same word in a condition, in a metric and, where REST tells of it, in `code`.

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
    QUOTA_EXCEEDED = "QuotaExceeded"  # a ResourceQuota leaves no room for the VideoJob, the Job or its pod
    POLICY_REFUSED = "PolicyRefused"  # Pod Security or an admission policy refused the VideoJob, the Job or its pod
    JOB_REJECTED = "JobRejected"  # the cluster refused one of these for another reason: rights, a missing account
    NAME_IN_USE = "NameInUse"  # a Job of this name belongs to something else

    # Waiting
    WAITING_FOR_POD = "WaitingForPod"  # the Job is there, its pod not yet
    SUSPENDED = "Suspended"  # the Job is suspended, by spec.suspend or by Kueue
    GPUS_TAKEN = "GpusTaken"  # there are nodes that fit, and none of their GPUs is free
    NO_MATCHING_NODE = "NoMatchingNode"  # no node has the GPU or the labels that the profile asks for
    NODES_TAINTED = "NodesTainted"  # the nodes that fit have taints that the profile does not tolerate
    UNSCHEDULABLE = "Unschedulable"  # no node has room, for another reason: memory, CPU, cordoned nodes
    IMAGE_NOT_FOUND = "ImageNotFound"  # the registry has no such renderer image
    IMAGE_PULL_DENIED = "ImagePullDenied"  # the registry wants credentials, or refused those it got
    IMAGE_PULL_RATE_LIMITED = "ImagePullRateLimited"  # the registry answers no more for a while
    IMAGE_PULL_FAILED = "ImagePullFailed"  # the renderer image cannot be pulled for another reason
    VOLUME_UNAVAILABLE = "VolumeUnavailable"  # a volume, or what goes into it, is missing or cannot be mounted
    CONTAINER_CONFIG_ERROR = "ContainerConfigError"  # a Secret or ConfigMap of the pod's environment is missing
    NODE_LOST = "NodeLost"  # the pod's node does not answer, so that its pod cannot end and none can follow
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
    START_DEADLINE_EXCEEDED = "StartDeadlineExceeded"  # no pod ran within startDeadlineSeconds
    DEADLINE_EXCEEDED = "DeadlineExceeded"  # a run took longer than activeDeadlineSeconds
    TOO_MANY_INTERRUPTIONS = "TooManyInterruptions"  # stopped from outside more often than the profile allows
    RENDERER_FAILED = "RendererFailed"  # the renderer ended with an error it did not name
    CONTENT_REFUSED = "ContentRefused"  # a content policy refused the request
    GPU_FAULT = "GpuFault"  # CUDA or the GPU failed
    OUT_OF_MEMORY = "OutOfMemory"  # the kernel or the GPU ran out of memory
    INTERRUPTED = "Interrupted"  # the pod was asked to stop
    EVICTED = "Evicted"  # the node ended the pod to protect itself: out of disk or memory
    NON_FINITE_LATENTS = "NonFiniteLatents"  # the model produced NaN or infinity
    WEIGHTS_UNAVAILABLE = "WeightsUnavailable"  # model files are missing, damaged or cannot be downloaded
    STORAGE_UNAVAILABLE = "StorageUnavailable"  # S3 refused or did not answer
    DISK_FULL = "DiskFull"  # no space left for the video or the model on the node
    DISK_UNWRITABLE = "DiskUnwritable"  # a folder that the renderer must write is read-only or not its own
    ARTIFACT_MISSING = "ArtifactMissing"  # the renderer ended well but recorded no video

    # Notified
    WEBHOOK_DELIVERED = "WebhookDelivered"  # the receiver of the webhook was told
    WEBHOOK_RETRYING = "WebhookRetrying"  # the receiver could not be told yet, another try follows
    WEBHOOK_FAILED = "WebhookFailed"  # the receiver could not be told within 24 hours, or wants no webhooks
    WEBHOOK_REFUSED = "WebhookRefused"  # the installation does not send webhooks there, or none at all
