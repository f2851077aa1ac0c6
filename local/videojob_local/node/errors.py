"""What can go wrong on the node.

NodeError
├── ApiError         the API server answered with 400 or more
├── NotReadyYet      a container cannot start now; shown as its waiting reason and tried again
├── UnsupportedPod   the Pod asks for something this node never has
├── PodStopped       the Pod was told to end while something of it was awaited
└── StateInUse       another agent works in the same state folder
"""


class NodeError(Exception):
    """Anything this node raises on purpose."""


class ApiError(NodeError):
    """An answer of the API server that repeating will not change.

    Attributes:
        status: the HTTP status.
        message: what the server said, cut to a readable length.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message


class NotReadyYet(NodeError):
    """A container cannot start now.

    Attributes:
        reason: the kubelet's own word for it, such as ErrImagePull.
        message: one sentence.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class UnsupportedPod(NodeError):
    """The Pod asks for something that this node never has."""


class PodStopped(NodeError):
    """The Pod was told to end before its containers ran to their end."""


class StateInUse(NodeError):
    """Another agent works in this state folder."""
