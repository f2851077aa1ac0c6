"""The Go programs that the local stack needs, built once from their modules and cached by what goes into them.

They come in sets: the control plane is built for everybody, the programs of a real node only for who asks for one.

Programs of a matching version in `KUBEBUILDER_ASSETS` or on PATH are used instead of being built. The build goes to a
temporary folder that is renamed at the end, under a file lock, so a build that was stopped leaves nothing half done
and two builds do not meet.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from videojob_local.errors import BuildFailed
from videojob_local.golang import find_go
from videojob_local.paths import GO_MODULE, cache_folder

KUBERNETES_VERSION = "v1.36.3"
_VERSION_FLAGS = " ".join(
    ["-s", "-w"]
    + [
        f"-X k8s.io/component-base/version.{name}={value}"
        for name, value in (("gitVersion", KUBERNETES_VERSION), ("gitMajor", "1"), ("gitMinor", "36"))
    ]
)
"""Without them the API server calls itself v0.0.0-master, and helm refuses the chart's kubeVersion."""

_VERSION_SECONDS = 20
NEEDED_GIB = 6


@dataclass(frozen=True, slots=True)
class Tool:
    """One program: the Go package it is built from, and how to tell that another copy of it would do."""

    name: str
    package: str
    version_arguments: tuple[str, ...]
    version_pattern: str


_KUBERNETES = r"v1\.36\."
TOOLS = (
    Tool("etcd", "go.etcd.io/etcd/server/v3", ("--version",), r"etcd Version: 3\.6\."),
    Tool("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", ("--version",), _KUBERNETES),
    Tool("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", ("--version",), _KUBERNETES),
    Tool("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler", ("--version",), _KUBERNETES),
    Tool("kubectl", "k8s.io/kubernetes/cmd/kubectl", ("version", "--client"), _KUBERNETES),
    Tool("helm", "helm.sh/helm/v4/cmd/helm", ("version", "--short"), r"v4\."),
)


@dataclass(frozen=True, slots=True)
class ToolSet:
    """Programs that are built together.

    Attributes:
        name: of their folder in the cache.
        title: in "building …".
        module: folder of the Go module that pins them.
        expected: how long the build takes, in words.
    """

    name: str
    title: str
    module: Path
    tools: tuple[Tool, ...]
    expected: str


CONTROL_PLANE = ToolSet("control-plane", "the control plane", GO_MODULE, TOOLS, "5 to 10 minutes")


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder that holds all programs of a set under their own names."""

    folder: Path
    tools: tuple[Tool, ...] = TOOLS

    def __getitem__(self, name: str) -> Path:
        return self.folder / name

    def are_complete(self) -> bool:
        """Tell whether all are there; a link to a program of this machine may lead nowhere by now."""
        return all(self[tool.name].exists() for tool in self.tools)


def ensure_binaries(tool_set: ToolSet = CONTROL_PLANE) -> Binaries:
    """Return the programs, building them first where they are missing.

    Raises:
        BuildFailed: with one sentence that says why.
    """
    binaries = built_binaries(tool_set)
    if not binaries.are_complete():
        with _lock(binaries.folder, tool_set):
            if not binaries.are_complete():  # another process may have built it while this one waited
                _build_all(binaries.folder, tool_set)
    return binaries


def built_binaries(tool_set: ToolSet = CONTROL_PLANE) -> Binaries:
    """Return the programs as they are, built or not: all that is needed to look at a stack or to end it."""
    return Binaries(cache_folder() / tool_set.name / _fingerprint(tool_set.module), tool_set.tools)


def _fingerprint(module: Path) -> str:
    content = (module / "go.mod").read_bytes() + (module / "go.sum").read_bytes() + _VERSION_FLAGS.encode()
    return hashlib.sha256(content).hexdigest()[:16]


@contextmanager
def _lock(folder: Path, tool_set: ToolSet) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(folder.name + ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another build of {tool_set.title} to end", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_all(folder: Path, tool_set: ToolSet) -> None:
    for left in folder.parent.glob("building-*"):  # of a build that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="building-", dir=folder.parent) as temporary:
        building, scratch = Path(temporary) / "bin", Path(temporary) / "scratch"
        building.mkdir()
        scratch.mkdir()
        missing = [tool for tool in tool_set.tools if not _link_existing(tool, building)]
        if missing:
            _require_space(folder.parent, tool_set)
            _build(missing, building, scratch, tool_set)
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)


def _link_existing(tool: Tool, folder: Path) -> bool:
    """Link a program of a matching version into the folder, if this machine has one."""
    places = os.pathsep.join(filter(None, (os.environ.get("KUBEBUILDER_ASSETS"), os.environ.get("PATH"))))
    found = shutil.which(tool.name, path=places)
    if not found:
        return False
    try:
        result = subprocess.run(
            [found, *tool.version_arguments], capture_output=True, text=True, check=False, timeout=_VERSION_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    if result.returncode or not re.search(tool.version_pattern, result.stdout):
        return False
    (folder / tool.name).symlink_to(Path(found).resolve())
    return True


def _require_space(folder: Path, tool_set: ToolSet) -> None:
    free_gib = shutil.disk_usage(folder).free / 2**30
    if free_gib < NEEDED_GIB:
        raise BuildFailed(
            f"building {tool_set.title} needs about {NEEDED_GIB} GiB in {folder}, but only {free_gib:.1f} are free"
        )


def _build(tools: list[Tool], folder: Path, scratch: Path, tool_set: ToolSet) -> None:
    go = str(find_go())
    environment = dict(os.environ, CGO_ENABLED="0", GOFLAGS="-mod=readonly", GOTOOLCHAIN="local", GOTMPDIR=str(scratch))
    began = time.monotonic()
    with _progress(f"downloading the Go modules of {tool_set.title}", began, tool_set.expected):
        _run([go, "mod", "download"], environment, tool_set)
    for number, tool in enumerate(tools, start=1):
        with _progress(f"building {tool.name} ({number} of {len(tools)})", began, tool_set.expected):
            flags = ["-trimpath", f"-ldflags={_VERSION_FLAGS}", "-o", str(folder / tool.name)]
            _run([go, "build", *flags, tool.package], environment, tool_set)


@contextmanager
def _progress(what: str, began: float, expected: str) -> Iterator[None]:
    """Say what is being done, and for how long already: on a terminal every second, elsewhere once."""
    done = threading.Event()

    def tell() -> None:
        while True:
            minutes, seconds = divmod(int(time.monotonic() - began), 60)
            text = f"{what}, {minutes}:{seconds:02} so far (the whole takes {expected}, once on this machine)"
            ending = "\r" if sys.stderr.isatty() else "\n"
            print(text, end=ending, file=sys.stderr, flush=True)
            if done.wait(1 if sys.stderr.isatty() else 60):
                break
        if sys.stderr.isatty():
            print(file=sys.stderr)

    teller = threading.Thread(target=tell)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _run(command: list[str], environment: Mapping[str, str], tool_set: ToolSet) -> None:
    """Run Go in a process group of its own, which is ended as a whole when this command is interrupted."""
    with subprocess.Popen(
        command, cwd=tool_set.module, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            _, output = process.communicate()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise BuildFailed(explain_build_failure(output, tool_set.title))


def explain_build_failure(output: str, title: str = CONTROL_PLANE.title) -> str:
    """Turn what Go printed into one sentence."""
    if "no space left on device" in output:
        return f"the disk is full: building {title} needs about {NEEDED_GIB} GiB; free some space and try again"
    if re.search(r"dial tcp|no such host|connection refused|i/o timeout|TLS handshake|network is unreachable", output):
        return f"the Go modules of {title} cannot be downloaded: check the network (or GOPROXY) and try again"
    if "checksum mismatch" in output or "SECURITY ERROR" in output:
        return "a downloaded Go module is not the one in go.sum; nothing was built from it"
    if "signal: killed" in output:
        return f"the compiler was killed, probably for lack of memory: building {title} needs about 4 GiB"
    return f"building {title} failed; Go said:\n" + "\n".join("  " + line for line in output.splitlines()[-15:])
