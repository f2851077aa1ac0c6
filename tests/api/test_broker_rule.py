"""What one renderer may do in the bucket, and which pod a token stands for: pure."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojob.broker import Method, Wish
from videojob.names import artifact_key, checkpoint_key, embedding_key
from videojob_api.access.callers import Account
from videojob_api.broker.identity import BoundPod, attempt_of, pod_of, video_job_of
from videojob_api.broker.rule import Attempt, granted, refusal
from videojob_api.errors import Forbidden

PREFIX = "renders"
ATTEMPT = Attempt("studio", "uid-1", "squirrel-x7k2p", "renders/inputs/studio/" + "a" * 64)
BODY = {"bytes": 3, "content_type": "video/mp4", "sha256": "0" * 64}
DIGEST = "0123456789abcdef" * 4
GET, PUT, DELETE = Method.GET, Method.PUT, Method.DELETE


def wish(method: Method, key: str) -> Wish:
    return Wish.model_validate({"method": method, "key": key} | (BODY if method is PUT else {}))


@pytest.mark.parametrize(
    ("key", "methods"),
    [
        ("renders/studio/uid-1/squirrel-x7k2p/video.mp4", {GET, PUT}),
        ("renders/studio/uid-1/squirrel-x7k2p/manifest.json", {GET, PUT}),
        ("renders/studio/uid-1/checkpoint/state.safetensors", {GET, PUT, DELETE}),
        (f"renders/embeddings/studio/{DIGEST}.safetensors", {GET, PUT}),
        ("renders/inputs/studio/" + "a" * 64, {GET}),
        # Others' things.
        ("renders/inputs/studio/" + "b" * 64, set()),
        ("renders/inputs/research/" + "a" * 64, set()),
        ("renders/studio/uid-1/squirrel-other/video.mp4", set()),
        ("renders/studio/uid-1/squirrel-x7k2/video.mp4", set()),
        ("renders/studio/uid-1/squirrel-x7k2p2/video.mp4", set()),
        ("renders/studio/uid-2/squirrel-x7k2p/video.mp4", set()),
        ("renders/studio/uid-2/checkpoint/state.safetensors", set()),
        ("renders/research/uid-1/squirrel-x7k2p/video.mp4", set()),
        (f"renders/embeddings/research/{DIGEST}.safetensors", set()),
        ("studio/uid-1/squirrel-x7k2p/video.mp4", set()),
        ("renders2/studio/uid-1/squirrel-x7k2p/video.mp4", set()),
        # What looks like its own.
        ("renders/studio/uid-1/squirrel-x7k2p/", set()),
        ("renders/studio/uid-1/squirrel-x7k2p", set()),
        ("renders/studio/uid-1/squirrel-x7k2p/more/video.mp4", set()),
        ("renders/studio/uid-1/squirrel-x7k2p/.hidden", set()),
        ("renders/studio/uid-1/squirrel-x7k2p/a b", set()),
        ("renders/studio/uid-1/checkpoint/other.safetensors", set()),
        ("renders/studio/uid-1/checkpoint", set()),
        (f"renders/embeddings/{DIGEST}.safetensors", set()),
        (f"renders/embeddings/studio/{DIGEST}", set()),
        (f"renders/embeddings/studio/{DIGEST.upper()}.safetensors", set()),
        ("renders/embeddings/studio/x.safetensors", set()),
        ("renders", set()),
    ],
)
def test_a_pod_may_touch_what_is_its_own(key: str, methods: set[Method]) -> None:
    assert granted(key, ATTEMPT, PREFIX) == methods
    for method in Method:
        sentence = refusal(wish(method, key), ATTEMPT, PREFIX)
        assert (sentence is None) is (method in methods)
        assert sentence is None or repr(key) in sentence


@pytest.mark.parametrize(
    "key",
    [
        "renders/studio/uid-1/squirrel-x7k2p/../squirrel-other/video.mp4",
        "renders/studio/uid-1/squirrel-x7k2p/..",
        "renders/studio/uid-1/squirrel-x7k2p//video.mp4",
        "renders/studio/uid-1/squirrel-x7k2p/./video.mp4",
        "renders/studio/uid-1/squirrel-x7k2p/video.mp4\0",
        "renders/studio/uid-1/squirrel-x7k2p/%2e%2e",
        "renders/studio/uid-1/squirrel-x7k2p\\video.mp4",
        "renders/studio/uid-1/squirrel-x7k2p/video.mp4\n",
        "../renders/studio/uid-1/squirrel-x7k2p/video.mp4",
    ],
)
def test_a_key_that_could_be_read_in_two_ways_is_refused_as_such(key: str) -> None:
    for method in Method:
        assert "is no plain key" in str(refusal(wish(method, key), ATTEMPT, PREFIX))


def test_the_prefix_is_the_administrators_whatever_it_holds() -> None:
    odd = "50%/a..b"
    assert refusal(wish(PUT, f"{odd}/studio/uid-1/squirrel-x7k2p/video.mp4"), ATTEMPT, f"/{odd}/") is None
    assert refusal(wish(PUT, "studio/uid-1/squirrel-x7k2p/video.mp4"), ATTEMPT, "") is None


NAMES = st.sampled_from(
    ["studio", "research", "inputs", "embeddings", "checkpoint", "uid-1", "uid-2", "a-b", "video.mp4"]
)
PIECES = st.one_of(NAMES, st.text(max_size=6), st.just(f"{DIGEST}.safetensors"), st.just("state.safetensors"))


@given(
    st.builds(Attempt, NAMES, NAMES, NAMES, st.none()),
    st.builds(Attempt, NAMES, NAMES, NAMES, st.none()),
    st.sampled_from(["", "renders", "a/b"]),
    st.lists(PIECES, min_size=1, max_size=6).map("/".join),
)
def test_what_two_pods_may_both_write_is_shared_by_design(one: Attempt, other: Attempt, prefix: str, key: str) -> None:
    """Whatever namespaces and pods are called, two VideoJobs share embeddings of one namespace, and nothing else."""
    if not {PUT, DELETE} & granted(key, one, prefix) & granted(key, other, prefix):
        return
    assert one.namespace == other.namespace
    is_embedding = key == embedding_key(prefix, one.namespace, DIGEST)
    assert is_embedding or one.uid == other.uid
    if not is_embedding and key != checkpoint_key(prefix, one.namespace, one.uid):
        assert one.pod_name == other.pod_name
        assert key == artifact_key(prefix, one.namespace, one.uid, one.pod_name, key.rpartition("/")[2])


BOUND = BoundPod("studio", "squirrel-x7k2p", "pod-uid")
EXTRA = (
    ("authentication.kubernetes.io/pod-name", ("squirrel-x7k2p",)),
    ("authentication.kubernetes.io/pod-uid", ("pod-uid",)),
)
USER = "system:serviceaccount:studio:videojob-renderer"
SERVED = frozenset({"studio", "research"})


def test_a_token_stands_for_the_pod_it_is_bound_to() -> None:
    assert pod_of(Account(USER, extra=EXTRA), "videojob-renderer", SERVED) == BOUND


@pytest.mark.parametrize(
    ("user", "extra", "words"),
    [
        ("system:serviceaccount:kitchen:videojob-renderer", EXTRA, "no renderer of a namespace that is served"),
        ("system:serviceaccount:studio:videojob-api", EXTRA, "no renderer"),
        ("system:serviceaccount:studio:videojob-renderer:x", EXTRA, "no renderer"),
        ("studio:videojob-renderer", EXTRA, "no renderer"),
        ("videojob-renderer", EXTRA, "no renderer"),
        ("", EXTRA, "no renderer"),
        (USER, (), "bound to no pod"),
        (USER, EXTRA[:1], "bound to no pod"),
        (USER, (EXTRA[0], (EXTRA[1][0], ("a", "b"))), "bound to no pod"),
    ],
)
def test_any_other_token_stands_for_none(user: str, extra: Any, words: str) -> None:
    with pytest.raises(Forbidden, match=words):
        pod_of(Account(user, extra=extra), "videojob-renderer", SERVED)


def pod(**changes: Any) -> dict[str, Any]:
    labels = {
        "app.kubernetes.io/managed-by": "videojob-operator",
        "videojob.dev/name": "squirrel",
        "videojob.dev/uid": "uid-1",
    }
    owner = {"kind": "Job", "name": "squirrel", "uid": "job-uid", "controller": True}
    metadata = {"uid": "pod-uid", "labels": labels, "ownerReferences": [owner]} | changes.pop("metadata", {})
    return {"metadata": metadata, "status": {"phase": "Running"} | changes}


def test_a_pod_that_runs_stands_for_its_videojob() -> None:
    for phase in ("Pending", "Running"):
        assert video_job_of(pod(phase=phase), BOUND) == ("squirrel", "uid-1")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "is gone"),
        (pod(metadata={"uid": "another"}), "is gone"),
        (pod(phase="Succeeded"), "has ended"),
        (pod(phase="Failed"), "has ended"),
        (pod(metadata={"labels": None}), "renders no VideoJob"),
        (
            pod(metadata={"labels": {"videojob.dev/name": "squirrel", "videojob.dev/uid": "uid-1"}}),
            "renders no VideoJob",
        ),
        (pod(metadata={"ownerReferences": None}), "renders no VideoJob"),
        (pod(metadata={"ownerReferences": [{"kind": "Job", "name": "squirrel"}]}), "renders no VideoJob"),
        (
            pod(metadata={"ownerReferences": [{"kind": "Job", "name": "cat", "controller": True}]}),
            "renders no VideoJob",
        ),
        (
            pod(metadata={"ownerReferences": [{"kind": "ReplicaSet", "name": "squirrel", "controller": True}]}),
            "renders no VideoJob",
        ),
    ],
)
def test_any_other_pod_stands_for_none(found: dict[str, Any] | None, words: str) -> None:
    with pytest.raises(Forbidden, match=words):
        video_job_of(found, BOUND)


@pytest.mark.parametrize(
    ("image", "key"),
    [
        (None, None),
        ("s3://videos/renders/inputs/studio/abc", "renders/inputs/studio/abc"),
        ("s3://videos/renders/studio/uid-7/owl-abcde/thumbnail.jpg", "renders/studio/uid-7/owl-abcde/thumbnail.jpg"),
        ("s3://videos/renders/inputs/research/abc", None),
        ("s3://videos/renders/inputs/studio/../research/abc", None),
        ("s3://videos/renders/inputs/studio/%2e%2e/research/abc", None),
        ("s3://videos/elsewhere/abc", None),
        ("s3://pictures/renders/inputs/studio/abc", None),
        ("https://videos/renders/inputs/studio/abc", None),
    ],
)
def test_of_input_images_a_pod_gets_the_one_its_request_names(image: str | None, key: str | None) -> None:
    job = {"metadata": {"uid": "uid-1"}, "spec": {"request": {"prompt": "a cat"} | ({"image": image} if image else {})}}
    assert attempt_of(job, BOUND, "videos", "renders") == Attempt("studio", "uid-1", "squirrel-x7k2p", key)
