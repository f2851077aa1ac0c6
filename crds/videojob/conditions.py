"""The condition types of a VideoJob (metav1.Condition, one entry a type)."""

from enum import StrEnum


class ConditionType(StrEnum):
    """What can be true, false or unknown about a VideoJob."""

    ACCEPTED = "Accepted"  # the request is valid here: model and profile are known
    SCHEDULED = "Scheduled"  # a pod of this job has a node
    RUNNING = "Running"  # the renderer is at work: its model is loaded
    SUCCEEDED = "Succeeded"  # True: the video is there; False: it never will be; Unknown: not yet known
    NOTIFIED = "Notified"  # the webhook was told


class ConditionStatus(StrEnum):
    """The three values of a condition."""

    TRUE = "True"  # it holds
    FALSE = "False"  # it does not hold
    UNKNOWN = "Unknown"  # nothing can be said yet
