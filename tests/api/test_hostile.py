"""Hostile input: what is legal arrives in the VideoJob byte for byte, all else gets an answer, and nothing is a 500."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cluster import Cluster
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.cluster

EXAMPLES = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

SENTENCES = [
    "'; DROP TABLE videojobs; --",
    '" OR ""="',
    "prompt: &a [*a, *a]\n---\n!!python/object/apply:os.system [id]",
    "{{ .Values.secret }} ${HOME} $(id) `id` %s %n {0} #{7*7}",
    "../../../../etc/passwd\0.mp4",
    '{"prompt": "another", "seed": 1}',
    "\u202egnp.exe\u202c \u2066rtl\u2069 \u200b\ufeff\u00ad",
    "line\r\nX-Injected: yes\r\n\r\n<script>alert(1)</script>",
    "e\u0301 é \U0001f468\u200d\U0001f469\u200d\U0001f467 \ufffe\uffff\U0010ffff",
    " \tleading and trailing\n ",
    '--boundary\r\nContent-Disposition: form-data; name="seed"\r\n\r\n1',
]
FORMATS_AND_CONTROLS = st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Co", "Mn"])
PROMPTS = st.one_of(
    st.sampled_from(SENTENCES),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300),
    st.text(FORMATS_AND_CONTROLS, min_size=1, max_size=50).map(lambda text: f"a{text}b"),
    st.sampled_from(["x", "\U0001f43f", "\0", "é"]).map(lambda character: (character * 4096)[:4096]),
).filter(lambda text: not text.isspace())

IDS = st.one_of(
    st.sampled_from(
        ["..", ".", "../secrets", "a/../b", "..%2f", "a\0", "A", "-a", "a" * 53, "a" * 9000, "?", "#", "*"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80),
).filter(lambda text: text not in {".", ".."})  # clients resolve these themselves


def stored(cluster: Cluster, name: str) -> dict[str, Any]:
    job = cluster.get(name)
    assert job
    request: dict[str, Any] = job["spec"]["request"]
    return request


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """A patient client that keeps its connections."""
    with httpx.Client(timeout=120) as client:
        yield client


@EXAMPLES
@given(prompt=PROMPTS, negative=PROMPTS)
def test_any_prompt_arrives_byte_for_byte_by_every_door(
    prompt: str, negative: str, live: str, http: httpx.Client, cluster: Cluster
) -> None:
    texts = {"prompt": prompt, "negative_prompt": negative}
    form = {name: (None, text.encode()) for name, text in texts.items()}
    for answer in (
        http.post(f"{live}/generate", json=texts),
        http.post(f"{live}/v1/videos", json=texts),
        http.post(f"{live}/v1/videos", files=form),
    ):
        assert answer.status_code == 200, answer.text
        told = answer.json()
        request = stored(cluster, told.get("job_id") or told["id"])
        assert (request["prompt"], request["negativePrompt"]) == (prompt, negative)
        assert told.get("prompt", prompt) == prompt


@EXAMPLES
@given(job_id=IDS)
@example(job_id="job-1\n")
def test_an_id_like_a_path_leads_nowhere(job_id: str, live: str, http: httpx.Client) -> None:
    name = quote(job_id, safe="")
    for method, path in (
        ("GET", f"/status/{name}"),
        ("GET", f"/video/{name}"),
        ("DELETE", f"/jobs/{name}"),
        ("GET", f"/v1/videos/{name}"),
        ("GET", f"/v1/videos/{name}/content?variant=thumbnail"),
        ("DELETE", f"/v1/videos/{name}"),
        ("POST", f"/v1/videos/{name}/remix"),
    ):
        body = {"json": {"prompt": "a"}} if method == "POST" else {}
        answer = http.request(method, live + path, **body)  # type: ignore[arg-type]
        assert answer.status_code in {404, 405}, (path, answer.text)
        assert answer.json()["error"]["code"] in {"UnknownJob", "NotFound", "MethodNotAllowed"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    [
        "prompt",
        "model",
        "num_frames",
        "width",
        "fps",
        "seed",
        "guidance_scale",
        "image",
        "profile",
        "n",
        "webhook",
        "seconds",
        "size",
        "input_reference",
        "numFrames",
        "__proto__",
        "a.b",
    ]
)


@EXAMPLES
@given(body=st.dictionaries(FIELDS, JSON, max_size=4))
def test_any_json_gets_an_answer_that_is_no_accident(body: dict[str, Any], live: str, http: httpx.Client) -> None:
    content = json.dumps(body)  # lone surrogates stay escaped, as a hostile client would send them
    for path, refused in (("/generate", 422), ("/v1/videos", 400)):
        headers = {"Content-Type": "application/json"}
        answer = http.post(live + path, content=content, headers=headers)
        assert answer.status_code in {200, refused}, answer.text
        if answer.status_code == refused:
            assert answer.json()["error"]["message"]


@pytest.mark.parametrize("escaped", ["\\ud800", "\\udfff\\ud800", "a\\udc00b"])
def test_half_a_surrogate_pair_is_refused(escaped: str, live: str, http: httpx.Client) -> None:
    for field in ("prompt", "model", "x"):
        content = f'{{"prompt": "a", "{field}": "{escaped}"}}'
        for path, refused in (("/generate", 422), ("/v1/videos", 400)):
            answer = http.post(live + path, content=content, headers={"Content-Type": "application/json"})
            assert answer.status_code == refused


FORM = {"Content-Type": "multipart/form-data; boundary=b"}


def part(name: bytes, value: bytes, more: bytes = b"") -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="' + name + b'"' + more + b"\r\n\r\n" + value + b"\r\n"


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (b"", "prompt"),
        (b"nothing", "body"),
        (part(b"prompt", b"\xff\xfe"), "prompt"),
        (part(b"\xff", b"a"), "body"),
        (part(b"prompt", b"a") + part(b"prompt", b"b"), "prompt"),
        (part(b"prompt", b"a") + part(b"seed", b"0x7"), "seed"),
        (part(b"prompt", b"a") + part(b"seed", b"9" * 41), "seed"),
        (part(b"prompt", b"a") + part(b"guidance_scale", b"nan"), "guidance_scale"),
        (part(b"prompt", b"a") + part(b"guidance_scale", b"1e999"), "guidance_scale"),
        (part(b"prompt", b"a") + part(b"webhook[url]", b"x"), "webhook.url"),
        (part(b"prompt", b"a") + part(b"webhook", b"x") + part(b"webhook[url]", b"x"), "webhook[url]"),
        (part(b"prompt", b"a") + part(b"prompt[a]", b"x"), "prompt[a]"),
        (part(b"prompt", b"a") + part(b"mask", b"x", b'; filename="m.png"'), "mask"),
        (part(b"input_reference", b"x", b'; filename="m.png"') * 2, "body"),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\na\r\n", "body"),
        (b"".join(part(b"f%d" % number, b"") for number in range(65)), "body"),
    ],
)
def test_a_broken_form_is_told_with_its_field(content: bytes, param: str, live: str, http: httpx.Client) -> None:
    closed = content + b"--b--\r\n" if content.startswith(b"--b") else content
    answer = http.post(f"{live}/v1/videos", content=closed or b"--b--\r\n", headers=FORM)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize("charset", ["unicode_escape", "utf-16", "idna", "nonsense", "latin-1"])
def test_a_form_is_utf8_whatever_it_claims(charset: str, live: str, http: httpx.Client, cluster: Cluster) -> None:
    prompt = "\\ud800 é 🐿"
    content = part(b"prompt", prompt.encode()) + b"--b--\r\n"
    headers = {"Content-Type": f"multipart/form-data; charset={charset}; boundary=b"}
    answer = http.post(f"{live}/v1/videos", content=content, headers=headers)
    assert answer.status_code == 200, answer.text
    assert stored(cluster, answer.json()["id"])["prompt"] == prompt


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/generate", {"Content-Type": "application/json"}),
        ("/v1/videos", {"Content-Type": "application/json"}),
        ("/v1/videos", FORM),
    ],
)
def test_a_body_beyond_all_measure_is_cut_off(
    path: str, headers: dict[str, str], live: str, http: httpx.Client
) -> None:
    def long() -> Iterator[bytes]:
        yield part(b"prompt", b"")[:-2]
        for _ in range(1024):
            yield b" " * 65536

    try:
        answer = http.post(live + path, content=long(), headers=headers)
    except httpx.TransportError:
        return  # the server closed the connection while we were still sending
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
