"""Why the API server refused a Job or its pod, told from its own words.

The same words reach us in two ways: as the answer to our request for a Job, and in the Job controller's Events where
it was refused a pod.
"""

import re

from videojob.reasons import Reason
from videojob.refusals import POLICY_SAYS_NO, USER_MAY_NOT

_CAUSES = (
    (
        re.compile(r"exceeded quota|must specify .* quota"),
        Reason.QUOTA_EXCEEDED,
        "kubectl describe resourcequota shows what is used; the job starts when there is room",
    ),
    (
        re.compile(r"violates PodSecurity"),
        Reason.POLICY_REFUSED,
        "the profile asks for something that the namespace's Pod Security level forbids",
    ),
    (
        POLICY_SAYS_NO,
        Reason.POLICY_REFUSED,
        "a policy of the cluster's administrators forbids it: change the profile or the policy",
    ),
    (
        re.compile(r"no PriorityClass with name"),
        Reason.JOB_REJECTED,
        "create the PriorityClass, or change priorityClassName of the profile",
    ),
    (
        re.compile(r"RuntimeClass .* not found"),
        Reason.JOB_REJECTED,
        "install the RuntimeClass (NVIDIA's GPU Operator does), or change runtimeClassName of the profile",
    ),
    (
        re.compile(r"service account .* not found|serviceaccount .* not found"),
        Reason.JOB_REJECTED,
        "the chart makes the renderer's service account in each of its namespaces: install it again",
    ),
    (
        USER_MAY_NOT,
        Reason.JOB_REJECTED,
        "the operator's Role is not the chart's: install the chart again",
    ),
)
_OTHERWISE = "the profile gives the Job something that this cluster does not take"


def why_refused(message: str, what: str) -> tuple[Reason, str, str]:
    """Return reason, sentence and hint.

    Args:
        message: the API server's.
        what: was refused: "the Job" or "the pod".
    """
    sentence = f"the cluster refused {what}: {message}"
    for pattern, reason, hint in _CAUSES:
        if pattern.search(message):
            return reason, sentence, hint
    return Reason.JOB_REJECTED, sentence, _OTHERWISE
