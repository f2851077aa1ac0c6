"""What a call does to VideoJobs, in the verbs of Kubernetes: so its own roles decide. Pure."""

import re

_LISTS = frozenset({"/jobs", "/v1/videos", "/health"})
_NEITHER = frozenset({"/models", "/v1/models"})
"""Tell of the installation, not of jobs: for everyone who is known."""


def verbs_of(method: str, path: str) -> tuple[str, ...]:
    """Return the verbs that a call needs; one that no route takes needs those of its method."""
    if method == "DELETE":
        return ("delete",)
    if method not in {"GET", "HEAD", "OPTIONS"}:
        return _verbs_of_post(path)
    if path in _NEITHER:
        return ()
    if path in _LISTS:
        return ("list",)
    return ("watch",) if path.endswith("/events") else ("get",)


def _verbs_of_post(path: str) -> tuple[str, ...]:
    if re.fullmatch(r"/jobs/[^/]*/cancel", path):
        return ("patch",)
    # A remix tells of the original what it takes over.
    return ("get", "create") if path.endswith("/remix") else ("create",)
