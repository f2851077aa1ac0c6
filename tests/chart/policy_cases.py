"""The table of rights as data: who does what, and what comes of it. docs/security.md shows it, a test tries it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import httpx
import yaml
from cluster import Manifest
from tests.chart.policy_world import SEED, World

from videojob import crd


class Verdict(StrEnum):
    """What comes of it, and who says no."""

    YES = "yes"
    IGNORED = "no effect"  # the API server takes the request and leaves this part of it out
    ROLE = "no: role"
    POLICY = "no: policy"
    NODE = "no: node authorizer"
    TOKEN = "no: token is dead"


@dataclass(frozen=True, slots=True)
class Case:
    """One row.

    Attributes:
        who: for the reader.
        what: likewise; the pair is unique.
        act: does it.
        says: a part of the refusal's text.
    """

    who: str
    what: str
    verdict: Verdict
    act: Callable[[World], httpx.Response]
    says: str = ""


def _status(
    client: str, job: str, status: Manifest | Callable[[World], Manifest], second: bool = False
) -> Callable[[World], httpx.Response]:
    """Patch the status of a VideoJob."""

    def act(world: World) -> httpx.Response:
        namespace = world.namespaces.second if second else None
        change = status(world) if callable(status) else status
        return world.send(client, "PATCH", world.url(name=f"{job}/status", namespace=namespace), {"status": change})

    return act


def _progress(pod_of: str) -> Callable[[World], Manifest]:
    def status(world: World) -> Manifest:
        name = world.pods[pod_of]["metadata"]["name"]
        progress = {"stage": "Loading", "percent": 1, "updatedTime": "2026-01-01T00:00:00Z", "podName": name}
        return {"progress": progress}

    return status


def _video(*, uid_of: str, pod_of: str) -> Callable[[World], Manifest]:
    def status(world: World) -> Manifest:
        pod = world.pods[pod_of]["metadata"]
        key = f"videos/{pod['namespace']}/{world.uids[uid_of]}/{pod['name']}/video.mp4"
        return {"artifacts": {"video": {"uri": f"s3://videojob/{key}"}}}

    return status


def _signed(uid_of_pod: str) -> Callable[[World], Manifest]:
    """What a renderer writes: its progress, with the uid of the VideoJob it was started for."""

    def status(world: World) -> Manifest:
        owner = world.pods[uid_of_pod]["metadata"]["labels"]["videojob.dev/uid"]
        return {**_progress(uid_of_pod)(world), "renderer": {"videoJobUid": owner}}

    return status


def _send(
    client: str,
    method: str,
    plural: str,
    name: str = "",
    body: Manifest | None = None,
    *,
    where: str = "home",
    **headers: str,
) -> Callable[[World], httpx.Response]:
    def act(world: World) -> httpx.Response:
        namespace = getattr(world.namespaces, where)
        return world.send(client, method, world.url(plural, name, namespace), body, **headers)

    return act


def _pod(**spec: object) -> Manifest:
    return {"metadata": {"name": "guest"}, "spec": {"containers": [{"name": "c", "image": "test/sleep:1"}], **spec}}


def _job(name: str = "guest", *, owner: str | None = None, **spec: object) -> Manifest:
    reference = {
        "apiVersion": "videojob.dev/v1alpha1",
        "kind": "VideoJob",
        "name": owner,
        "uid": "1",
        "controller": True,
    }
    meta = {"name": name, "ownerReferences": [reference] if owner else []}
    return {"metadata": meta, "spec": {"template": {"spec": {**_pod(**spec)["spec"], "restartPolicy": "Never"}}}}


_RENDERER: Manifest = {"serviceAccountName": "videojob-renderer"}
_OWN_JOB: Manifest = {**_RENDERER, "automountServiceAccountToken": False}
_CREATED: Manifest = {
    "apiVersion": "videojob.dev/v1alpha1",
    "kind": "VideoJob",
    "metadata": {"name": "new"},
    "spec": {"request": {"prompt": "a squirrel"}},
}
_IMPERSONATED = "system:serviceaccount:kube-system:{}"
_ONE = "renderer of one"
_TOKEN = "videojob-renderer/token"


def _token_secret(account: str) -> Manifest:
    annotations = {"kubernetes.io/service-account.name": account}
    return {"metadata": {"name": "lasting", "annotations": annotations}, "type": "kubernetes.io/service-account-token"}


def _bound(world: World) -> Manifest:
    meta = world.pods["one"]["metadata"]
    return {"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": meta["name"], "uid": meta["uid"]}}}


def _bound_token(client: str) -> Callable[[World], httpx.Response]:
    return lambda world: world.send(client, "POST", world.url("serviceaccounts", _TOKEN), _bound(world))


RENDERERS_FIELDS = {"progress", "artifacts", "renderer", "resolved"}


def _sample(schema: Manifest) -> object:
    """Return a value the API server takes for a field of the status, unlike any that is there."""
    if schema["type"] == "string":
        return "2026-01-01T00:00:00Z" if schema.get("format") == "date-time" else schema.get("enum", ["Forged"])[-1]
    return {"integer": 99, "array": [], "boolean": True, "object": {}}[schema["type"]]


def _forgeries() -> list[Case]:
    """One case for each field of the status that is the operator's, whatever fields the definition has today."""
    definition = yaml.safe_load(crd.render())
    (version,) = definition["spec"]["versions"]
    fields = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    forged = {name: _sample(schema) for name, schema in fields.items() if name not in RENDERERS_FIELDS}
    refusal = "the rest of the status is the operator's"
    return [
        Case(_ONE, f"write `status.{name}`", Verdict.POLICY, _status(_ONE, "one", {name: value}), refusal)
        for name, value in forged.items()
    ]


OWN_STATUS = [
    Case(_ONE, "write its progress", Verdict.YES, _status(_ONE, "one", _progress("one"))),
    Case(_ONE, "write its progress with its VideoJob's uid", Verdict.YES, _status(_ONE, "one", _signed("one"))),
    Case(_ONE, "write what it runs on", Verdict.YES, _status(_ONE, "one", {"renderer": {"gpu": "NVIDIA H100"}})),
    Case(_ONE, "commit a video in its own folder", Verdict.YES, _status(_ONE, "one", _video(uid_of="one", pod_of="one"))),
    Case(_ONE, "write the seed it drew", Verdict.YES, _status(_ONE, "one", {"resolved": {"seed": 5}})),
    Case(
        "renderer of seeded", "write another seed than the request's", Verdict.POLICY,
        _status("renderer of seeded", "seeded", {"resolved": {"seed": SEED + 1}}), "the request gives the seed",
    ),
    Case(_ONE, "write `status.resolved.width`", Verdict.POLICY, _status(_ONE, "one", {"resolved": {"width": 128}}), "the seed only"),
    Case(_ONE, "take `status.resolved.model` away", Verdict.POLICY, _status(_ONE, "one", {"resolved": {"model": None}}), "the seed only"),
    Case(_ONE, "write progress in the name of another pod", Verdict.POLICY, _status(_ONE, "one", _progress("on")), "podName"),
    Case(_ONE, "commit a video of another pod", Verdict.POLICY, _status(_ONE, "one", _video(uid_of="one", pod_of="on")), "folder"),
    Case(_ONE, "commit a video of another VideoJob", Verdict.POLICY, _status(_ONE, "one", _video(uid_of="on", pod_of="one")), "folder"),
    *_forgeries(),
    Case(_ONE, "take `status.phase` away", Verdict.POLICY, _status(_ONE, "one", {"phase": None}), "operator's"),
]  # fmt: skip

OTHERS_STATUS = [
    Case(_ONE, "write into `on`, a beginning of its name", Verdict.POLICY, _status(_ONE, "on", _progress("one")), "does not belong"),
    Case(_ONE, "write into `one-x`, its name and more", Verdict.POLICY, _status(_ONE, "one-x", _progress("one")), "does not belong"),
    Case("renderer of one-x", "write into `one`", Verdict.POLICY, _status("renderer of one-x", "one", _progress("one-x")), "does not belong"),
    Case(_ONE, "write into a VideoJob of another namespace", Verdict.POLICY, _status(_ONE, "far", _progress("one"), second=True), "own namespace"),
    Case("renderer of again", "write into a new VideoJob of the old name", Verdict.POLICY, _status("renderer of again", "again", _signed("again")), "another one has its name"),
    Case("renderer of again", "commit its video there", Verdict.POLICY, _status("renderer of again", "again", _video(uid_of="gone", pod_of="again")), "folder"),
    Case("renderer of ended", "write into its VideoJob that has ended", Verdict.POLICY, _status("renderer of ended", "ended", _progress("ended")), "has ended"),
    Case("renderer of gone", "write with the token of a deleted pod", Verdict.TOKEN, _status("renderer of gone", "one", _progress("one"))),
    Case("renderer, token of no pod", "write any status", Verdict.POLICY, _status("renderer, token of no pod", "one", _progress("one")), "not bound to a pod"),
]  # fmt: skip

BEYOND_STATUS = [
    Case(_ONE, "change spec through `/status`", Verdict.IGNORED, lambda w: w.send(_ONE, "PATCH", w.url(name="one/status"), {"spec": {"cancel": True}})),
    Case(_ONE, "change labels through `/status`", Verdict.IGNORED, lambda w: w.send(_ONE, "PATCH", w.url(name="one/status"), {"metadata": {"labels": {"a": "b"}}})),
    Case(_ONE, "add a finalizer through `/status`", Verdict.IGNORED, lambda w: w.send(_ONE, "PATCH", w.url(name="one/status"), {"metadata": {"finalizers": ["a.b/c"]}})),
    Case(_ONE, "cancel its VideoJob", Verdict.ROLE, _send(_ONE, "PATCH", "videojobs", "one", {"spec": {"cancel": True}})),
    Case(_ONE, "read a VideoJob", Verdict.ROLE, _send(_ONE, "GET", "videojobs", "one")),
    Case(_ONE, "list VideoJobs", Verdict.ROLE, _send(_ONE, "GET", "videojobs")),
    Case(_ONE, "create a VideoJob", Verdict.ROLE, _send(_ONE, "POST", "videojobs", "", _CREATED)),
    Case(_ONE, "delete its VideoJob", Verdict.ROLE, _send(_ONE, "DELETE", "videojobs", "one")),
    Case(_ONE, "read Secrets", Verdict.ROLE, _send(_ONE, "GET", "secrets")),
    Case(_ONE, "create a Job", Verdict.ROLE, _send(_ONE, "POST", "jobs", "", _job())),
    Case(_ONE, "get itself a token", Verdict.ROLE, _bound_token(_ONE)),
    Case("renderer with a careless role", "cancel its VideoJob", Verdict.POLICY, _send("renderer of far", "PATCH", "videojobs", "far", {"spec": {"cancel": True}}, where="second"), "nothing but update the status"),
    Case("renderer with a careless role", "create a VideoJob", Verdict.POLICY, _send("renderer of far", "POST", "videojobs", "", _CREATED, where="second"), "nothing but update the status"),
    Case("renderer with a careless role", "delete its VideoJob", Verdict.POLICY, _send("renderer of far", "DELETE", "videojobs", "far", where="second"), "nothing but update the status"),
]  # fmt: skip

ACCOUNT = [
    Case("administrator", "create a pod as the renderer", Verdict.POLICY, _send("admin", "POST", "pods", "", _pod(**_RENDERER)), "Job controller only"),
    Case("administrator", "create a pod as the renderer, by the field's old name", Verdict.POLICY, _send("admin", "POST", "pods", "", _pod(serviceAccount="videojob-renderer")), "Job controller only"),
    Case("administrator", "create a Job as the renderer", Verdict.POLICY, _send("admin", "POST", "jobs", "", _job(**_RENDERER)), "operator only"),
    Case("administrator", "create a Job as the renderer, owned by a VideoJob", Verdict.POLICY, _send("admin", "POST", "jobs", "", _job("one", owner="one", **_OWN_JOB)), "operator only"),
    Case("administrator", "get a token of the renderer", Verdict.POLICY, _send("admin", "POST", "serviceaccounts", _TOKEN, {"spec": {}}), "for nodes only"),
    Case("administrator", "get a token of the renderer, bound to a pod", Verdict.POLICY, _bound_token("admin"), "for nodes only"),
    Case("administrator", "create a lasting token of the renderer", Verdict.POLICY, _send("admin", "POST", "secrets", "", _token_secret("videojob-renderer")), "no lasting tokens"),
    Case("administrator", "create a lasting token of another account", Verdict.YES, _send("admin", "POST", "secrets", "", _token_secret("default"))),
    Case("administrator", "create a pod as another account", Verdict.YES, _send("admin", "POST", "pods", "", _pod())),
    Case("administrator", "create a Job as another account", Verdict.YES, _send("admin", "POST", "jobs", "", _job())),
    Case("administrator", "create a pod as a renderer of a namespace that is not served", Verdict.YES, _send("admin", "POST", "pods", "", _pod(**_RENDERER), where="unserved")),
    Case("CronJob controller", "create a Job as the renderer", Verdict.POLICY, _send("admin", "POST", "jobs", "", _job(**_RENDERER), Impersonate_User=_IMPERSONATED.format("cronjob-controller")), "operator only"),
    Case("ReplicaSet controller", "create a pod as the renderer", Verdict.POLICY, _send("admin", "POST", "pods", "", _pod(**_RENDERER), Impersonate_User=_IMPERSONATED.format("replicaset-controller")), "Job controller only"),
    Case("Job controller", "create a pod as the renderer", Verdict.YES, _send("admin", "POST", "pods", "", _pod(**_RENDERER), Impersonate_User=_IMPERSONATED.format("job-controller"))),
    Case("node", "get a token for a pod it runs", Verdict.YES, _bound_token("node")),
    Case("node", "get a token of the renderer for no pod", Verdict.NODE, _send("node", "POST", "serviceaccounts", _TOKEN, {"spec": {}})),
]  # fmt: skip

OPERATOR = [
    Case("operator", "create the Job of a VideoJob", Verdict.YES, _send("operator", "POST", "jobs", "", _job(owner="guest", **_OWN_JOB))),
    Case("operator", "create a Job that no VideoJob owns", Verdict.POLICY, _send("operator", "POST", "jobs", "", _job(**_OWN_JOB)), "and no others"),
    Case("operator", "create a Job that a VideoJob of another name owns", Verdict.POLICY, _send("operator", "POST", "jobs", "", _job(owner="one", **_OWN_JOB)), "and no others"),
    Case("operator", "create a Job with another service account", Verdict.POLICY, _send("operator", "POST", "jobs", "", _job(owner="guest", automountServiceAccountToken=False)), "videojob-renderer only"),
    Case("operator", "create a Job whose pod mounts a token by default", Verdict.POLICY, _send("operator", "POST", "jobs", "", _job(owner="guest", **_RENDERER)), "must not mount"),
    Case("operator", "suspend its Job", Verdict.YES, _send("operator", "PATCH", "jobs", "one", {"spec": {"suspend": True}})),
    Case("operator", "delete its Job", Verdict.YES, _send("operator", "DELETE", "jobs", "one")),
    Case("operator", "suspend a Job that is not a VideoJob's", Verdict.POLICY, _send("operator", "PATCH", "jobs", "bystander", {"spec": {"suspend": True}}), "and no others"),
    Case("operator", "delete a Job that is not a VideoJob's", Verdict.POLICY, _send("operator", "DELETE", "jobs", "bystander"), "and no others"),
    Case("operator", "write the status of a VideoJob", Verdict.YES, _status("operator", "one", {"message": "seen"})),
    Case("operator", "change the spec of a VideoJob", Verdict.ROLE, _send("operator", "PATCH", "videojobs", "one", {"spec": {"cancel": True}})),
    Case("operator", "create a pod", Verdict.ROLE, _send("operator", "POST", "pods", "", _pod())),
    Case("operator", "read Secrets", Verdict.ROLE, _send("operator", "GET", "secrets")),
    Case("operator", "get a token of the renderer", Verdict.ROLE, _send("operator", "POST", "serviceaccounts", _TOKEN, {"spec": {}})),
]  # fmt: skip

API = [
    Case("API", "create a VideoJob", Verdict.YES, _send("api", "POST", "videojobs", "", _CREATED)),
    Case("API", "cancel a VideoJob", Verdict.YES, _send("api", "PATCH", "videojobs", "one", {"spec": {"cancel": True}})),
    Case("API", "write the status of a VideoJob", Verdict.ROLE, _status("api", "one", {"phase": "Succeeded"})),
    Case("API", "create a VideoJob in another served namespace", Verdict.YES, _send("api", "POST", "videojobs", "", _CREATED, where="second")),
    Case("API", "create a VideoJob in a namespace that is not served", Verdict.ROLE, _send("api", "POST", "videojobs", "", _CREATED, where="unserved")),
    Case("API", "create a Job", Verdict.ROLE, _send("api", "POST", "jobs", "", _job())),
    Case("API", "read Secrets", Verdict.ROLE, _send("api", "GET", "secrets")),
]  # fmt: skip

GROUPS = {
    "A renderer and its own VideoJob": OWN_STATUS,
    "A renderer and other VideoJobs": OTHERS_STATUS,
    "A renderer and anything else": BEYOND_STATUS,
    "The renderer's service account": ACCOUNT,
    "The operator": OPERATOR,
    "The API": API,
}
CASES = [case for cases in GROUPS.values() for case in cases]


def table() -> str:
    """Return the rows as the page shows them."""
    lines = []
    for title, cases in GROUPS.items():
        lines += [f"### {title}", "", "| who | does | allowed |", "|---|---|---|"]
        lines += [f"| {case.who} | {case.what} | {case.verdict} |" for case in cases] + [""]
    return "\n".join(lines).rstrip() + "\n"
