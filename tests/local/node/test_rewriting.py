import json

import pytest

from videojob_local.node.rewriting import PathRewriter

MOUNTS = {"/tmp": "/pod/tmp", "/data": "/pod/data", "/data/models": "/pod/models", "/etc/videojob": "/pod/etc"}


@pytest.fixture
def rewriter() -> PathRewriter:
    return PathRewriter(MOUNTS)


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("/tmp", "/pod/tmp"),
        ("/tmp/a/b.txt", "/pod/tmp/a/b.txt"),
        ("--config=/etc/videojob/catalogue.json", "--config=/pod/etc/catalogue.json"),
        ("/tmp:/data", "/pod/tmp:/pod/data"),
        ("cat '/tmp/x' > /data/y", "cat '/pod/tmp/x' > /pod/data/y"),
        ("/data/models/2b", "/pod/models/2b"),
        ("/data/model", "/pod/data/model"),
    ],
)
def test_mount_paths_become_real_paths(rewriter: PathRewriter, text: str, rewritten: str) -> None:
    assert rewriter.text(text) == rewritten


@pytest.mark.parametrize(
    "text",
    [
        "/database",
        "/tmpfs/x",
        "/tmp-2",
        "/tmp.old",
        "https://host/tmp/x",
        "s3://bucket/data/x",
        "a/tmp/b",
        "./tmp",
        "$(BUCKET)/data",
        "",
    ],
)
def test_paths_that_only_resemble_a_mount_path_stay(rewriter: PathRewriter, text: str) -> None:
    assert rewriter.text(text) == text


def test_without_mounts_everything_stays() -> None:
    assert PathRewriter({}).text("/tmp/x") == "/tmp/x"
    assert PathRewriter({}).value('["/tmp/x"]') == '["/tmp/x"]'


def test_whole_paths_in_json_are_rewritten_and_prose_is_not(rewriter: PathRewriter) -> None:
    request = {"prompt": "A cat in /tmp looks at /data", "source": "/data/models/2b", "steps": 4, "nested": ["/tmp"]}

    rewritten = json.loads(rewriter.value(json.dumps(request)))

    assert rewritten == {**request, "source": "/pod/models/2b", "nested": ["/pod/tmp"]}


def test_json_without_paths_stays_byte_for_byte(rewriter: PathRewriter) -> None:
    text = '{"prompt":  "Käse in /tmp", "quote": "say \\"/tmp\\"", "guidance": 6.0}'
    assert rewriter.value(text) == text


def test_escapes_in_json_stay_as_they_are(rewriter: PathRewriter) -> None:
    text = '{"prompt": "\\u0024(HOME)", "source": "/data/x"}'
    assert rewriter.value(text) == '{"prompt": "\\u0024(HOME)", "source": "/pod/data/x"}'


def test_what_only_looks_like_json_is_text(rewriter: PathRewriter) -> None:
    assert rewriter.value("[ -d /tmp ]") == "[ -d /pod/tmp ]"


def test_a_folder_of_the_machine_below_a_mount_path_stays() -> None:
    rewriter = PathRewriter(MOUNTS | {"/tmp/home/cache": "/tmp/home/cache"})
    assert rewriter.text("--models=/tmp/home/cache/2b") == "--models=/tmp/home/cache/2b"
    assert rewriter.text("/tmp/home/cached") == "/pod/tmp/home/cached"
    assert rewriter.value('{"source":"/tmp/home/cache/2b"}') == '{"source":"/tmp/home/cache/2b"}'
