"""Why an image cannot be pulled, told from the words of container runtimes and registries.

The words are those of containerd, CRI-O and Docker's distribution API; registries differ in details, so each cause is
known by several.
"""

import re
from collections.abc import Sequence

from videojob.reasons import Reason
from videojob_operator.manifests import Manifest

IMAGE_REASONS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
)
CONFIG_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError"})

_BACK_OFF = re.compile(r'^Back-off pulling image "[^"]*"(?:: )?')
_RATE_LIMITED = re.compile(r"toomanyrequests|too many requests|\b429\b|rate limit", re.IGNORECASE)
_DENIED = re.compile(
    r"pull access denied|insufficient_scope|unauthorized|authentication required|authorization failed|no basic auth"
    r"|denied: |\b401\b|\b403\b|forbidden",
    re.IGNORECASE,
)
_NOT_FOUND = re.compile(r"manifest unknown|name unknown|: not found|code = NotFound|\b404\b", re.IGNORECASE)

_HINTS = {
    Reason.IMAGE_NOT_FOUND: "check renderer.image and imageRegistry, or the image of the profile",
    Reason.IMAGE_PULL_DENIED: "check imagePullSecrets: a Secret of that name must be in the job's namespace",
    Reason.IMAGE_PULL_RATE_LIMITED: "wait, give credentials by imagePullSecrets, or use a mirror of your own",
    Reason.IMAGE_PULL_FAILED: "check that nodes reach the registry",
}


def why_no_image(pod: Manifest, message: str, events: Sequence[Manifest]) -> tuple[Reason, str, str]:
    """Return reason, sentence and hint.

    Args:
        pod: for the name of the image.
        message: of the waiting container.
        events: of the pod: kubelets before 1.32 hide the cause there once they back off.
    """
    if not tells_cause(message):
        told = [event["message"] for event in events if event["reason"] == "Failed" and "pull" in event["message"]]
        message = told[-1] if told else message
    reason = _cause(message)
    image = pod["spec"]["containers"][0]["image"]
    words = _BACK_OFF.sub("", message) or "the kubelet backs off"
    return reason, f"the image {image} cannot be pulled: {words}", _HINTS[reason]


def tells_cause(message: str) -> bool:
    """Tell whether a kubelet's message says more than that it backs off."""
    return bool(_BACK_OFF.sub("", message))


def _cause(message: str) -> Reason:
    # A registry that denies access says so for images that do not exist as well; a rate limit may come as 403.
    if _RATE_LIMITED.search(message):
        return Reason.IMAGE_PULL_RATE_LIMITED
    if _DENIED.search(message):
        return Reason.IMAGE_PULL_DENIED
    if _NOT_FOUND.search(message):
        return Reason.IMAGE_NOT_FOUND
    return Reason.IMAGE_PULL_FAILED
