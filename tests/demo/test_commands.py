"""The commands behind `make up`, `status`, `env`, `logs`, `demo` and `down`, on a stack of their own."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mp4
import pytest
from leftovers import processes_of

from videojob_local.binaries import Binaries
from videojob_local.ports import free_port

pytestmark = [pytest.mark.cluster, pytest.mark.torch]
COMMAND = [sys.executable, "-m", "videojob_local"]


@pytest.fixture(scope="module")
def environment(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("commands")
    # A cache below /tmp, which to most pods is a folder of their own: the models in it must be found all the same.
    cache = folder / "cache/videojob"
    cache.mkdir(parents=True)
    (cache / "control-plane").symlink_to(binaries.folder.parent)
    return dict(
        os.environ, VIDEOJOB_STACK_DIR=str(folder / "stack"), PORT=str(free_port()), XDG_CACHE_HOME=str(cache.parent)
    )


def run(environment: dict[str, str], *arguments: str) -> str:
    """Run a command of the local stack, which must succeed, and return what it prints."""
    result = subprocess.run(
        [*COMMAND, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def up(environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """The environment of a stack that is up."""
    try:
        said = run(environment, "up")
        assert f"http://localhost:{environment['PORT']}" in said
        yield environment
    finally:
        run(environment, "down")


def in_bash(environment: dict[str, str], script: str) -> str:
    """Run a script in a shell with the settings of the stack."""
    settings = f'eval "$({shlex.join([*COMMAND, "env"])})"'
    clean = {name: value for name, value in environment.items() if not name.startswith(("AWS_", "KUBECONFIG"))}
    argv = ["bash", "-euc", f"{settings}\n{script}"]
    result = subprocess.run(argv, env=clean, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_status_names_every_part_and_its_health(up: dict[str, str]) -> None:
    said = run(up, "status")
    for part in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "node", "s3"):
        assert re.search(rf"^{part} +ready +pid \d+ +log /", said, re.MULTILINE), said
    assert re.search(rf"^REST API +ready +http://localhost:{up['PORT']}$", said, re.MULTILINE), said
    assert len(re.findall(r"^pod/videojob-(?:api|operator)-\S+ +1/1 +Running", said, re.MULTILINE)) == 2, said


def test_env_gives_a_shell_kubectl_helm_the_url_and_the_storage(up: dict[str, str]) -> None:
    assert "VideoJob" in in_bash(up, "kubectl explain videojob")
    assert re.search(r"^videojob\s+videojob\s.*deployed", in_bash(up, "helm list -n videojob"), re.MULTILINE)
    assert in_bash(up, 'echo "$VIDEOJOB_URL"') == f"http://localhost:{up['PORT']}\n"
    listed = f"{shlex.quote(sys.executable)} -c \"import boto3; print(boto3.client('s3').list_buckets()['Buckets'])\""
    assert "videos" in in_bash(up, listed)


def test_logs_shows_one_part_or_all(up: dict[str, str]) -> None:
    assert "--- operator" in run(up, "logs")
    assert run(up, "logs", "node").strip()
    unknown = subprocess.run([*COMMAND, "logs", "gpu"], env=up, capture_output=True, text=True, check=False)
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("videojob-local: there is no part 'gpu'; there are etcd, ")


def test_a_second_up_finds_the_stack(up: dict[str, str]) -> None:
    assert run(up, "up").startswith("The stack is up: ")


def test_demo_ends_with_a_video_and_the_table_of_jobs(up: dict[str, str]) -> None:
    said = run(up, "demo")
    path = re.search(r"^The video: (/.*\.mp4)$", said, re.MULTILINE)
    assert path, said
    assert mp4.decode(Path(path[1])).frames == 49
    assert re.search(r"^NAME +PHASE +PROGRESS", said, re.MULTILINE), said
    assert "coloured noise" in said
    assert "make demo MODEL=CogVideoX-2b" in said
    assert "The stack is still up" in said


def test_down_leaves_neither_process_nor_file(up: dict[str, str]) -> None:
    folder = Path(up["VIDEOJOB_STACK_DIR"])
    run(up, "down")
    assert not folder.exists()
    assert processes_of(folder) == []


def test_a_demo_that_is_interrupted_while_it_renders_leaves_nothing_behind(
    binaries: Binaries, environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "stack"
    settings = environment | {"VIDEOJOB_STACK_DIR": str(folder), "PORT": str(free_port())}
    argv = [*COMMAND, "demo"]
    with subprocess.Popen(argv, env=settings, stdout=subprocess.PIPE, text=True, start_new_session=True) as demo:
        assert demo.stdout
        for line in demo.stdout:
            if line.endswith("-> processing\n"):
                os.killpg(demo.pid, signal.SIGINT)  # as a terminal does: the demo script is told as well
                break
        demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert not folder.exists()
    assert processes_of(folder) == []
