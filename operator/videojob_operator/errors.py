"""What can go wrong when the operator talks to Kubernetes.

OperatorError
├── KubernetesUnavailable   no answer, or one that says to come again: try later
├── Conflict                the object is not the one that was observed any more: look again
└── Refused                 the API server will not do it, however often it is asked
"""


class OperatorError(Exception):
    """Anything the operator raises on purpose."""


class KubernetesUnavailable(OperatorError):
    """The API server gave no answer, or told to come again."""


class Conflict(OperatorError):
    """The object is gone, exists already, or has changed."""


class Refused(OperatorError):
    """The API server refused: rights, quota, policy, validation.

    Attributes:
        message: the server's own words.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
