"""From a token's user to the one pod it is bound to, and from that pod to its VideoJob: pure.

The labels and owners of a pod are the operator's words: the chart's admission policies let nobody else make a pod with
the renderer's service account.
"""

from dataclasses import dataclass

from videojob import names
from videojob_api.access.callers import Account
from videojob_api.broker.rule import Attempt, is_plain
from videojob_api.errors import Forbidden
from videojob_api.manifests import Manifest

_POD_NAME = "authentication.kubernetes.io/pod-name"
_POD_UID = "authentication.kubernetes.io/pod-uid"
_ENDED = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class BoundPod:
    """The pod that a token is bound to."""

    namespace: str
    name: str
    uid: str


def pod_of(account: Account, service_account: str, namespaces: frozenset[str]) -> BoundPod:
    """Return the pod that a renderer's token is bound to.

    Args:
        account: whose token it is.
        service_account: name of the renderers'.
        namespaces: that are served.

    Raises:
        Forbidden: it is no renderer's token, or bound to no pod.
    """
    namespace, _, name = account.username.removeprefix("system:serviceaccount:").partition(":")
    is_account = account.username == f"system:serviceaccount:{namespace}:{name}"
    if not is_account or name != service_account or namespace not in namespaces:
        raise Forbidden(f"{account.username} is no renderer of a namespace that is served here")
    extra = dict(account.extra)
    match extra.get(_POD_NAME, ()), extra.get(_POD_UID, ()):
        case (pod_name,), (uid,):
            return BoundPod(namespace, pod_name, uid)
    raise Forbidden("the token is bound to no pod")


def video_job_of(pod: Manifest | None, bound: BoundPod) -> tuple[str, str]:
    """Return name and uid of the VideoJob that a pod renders.

    Args:
        pod: as it is now; None where there is none.
        bound: what the token says.

    Raises:
        Forbidden: the pod is gone, has ended, or is no pod of a VideoJob's Job.
    """
    if pod is None or pod["metadata"]["uid"] != bound.uid:
        raise Forbidden(f"the pod {bound.name} of this token is gone")
    if (pod.get("status") or {}).get("phase") in _ENDED:
        raise Forbidden(f"the pod {bound.name} has ended")
    meta = pod["metadata"]
    labels = meta.get("labels") or {}
    name, uid = labels.get(names.NAME_LABEL), labels.get(names.UID_LABEL)
    controllers = [owner for owner in meta.get("ownerReferences") or () if owner.get("controller")]
    made_by_job = [(owner["kind"], owner["name"]) for owner in controllers] == [("Job", name)]
    if not name or not uid or labels.get(names.MANAGED_BY_LABEL) != names.MANAGED_BY or not made_by_job:
        raise Forbidden(f"the pod {bound.name} renders no VideoJob")
    return name, uid


def attempt_of(job: Manifest, bound: BoundPod, bucket: str, prefix: str) -> Attempt:
    """Return the attempt of a pod at its VideoJob; of input images it gets the one that the request names."""
    found = names.bucket_and_key(job["spec"]["request"].get("image") or "")
    image_key = None
    if found and found[0] == bucket and is_plain(found[1]):
        own = names.image_folders(prefix, bound.namespace)
        image_key = found[1] if found[1].startswith(own) else None
    return Attempt(bound.namespace, job["metadata"]["uid"], bound.name, image_key)
