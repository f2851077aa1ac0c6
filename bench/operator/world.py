"""The real control plane the benchmark runs on, kwok's nodes and pods, and the operator as a process of its own."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
from prometheus_client.parser import text_string_to_metric_families
from tests.support.probes import metric, probe

from videojob_local.binaries import ensure_binaries
from videojob_local.control_plane import ControlPlane
from videojob_local.golang import find_go
from videojob_local.paths import GO_MODULE, cache_folder
from videojob_local.ports import free_port
from videojob_local.processes import Part, Processes

NAMESPACE = "bench"
KWOK_PACKAGE = "sigs.k8s.io/kwok/cmd/kwok"
CATALOGUE = {"defaultModel": "none", "models": {"none": {"family": "2b", "source": "/nowhere"}}}
PROFILES = {"default": {"gpus": 1, "resources": {"requests": {"cpu": "10m"}}}}
_QUIET_SECONDS = 2.0
_POLL_SECONDS = 0.5
STAGES = Path(__file__).with_name("stages.yaml")


class World:
    """Control plane and kwok in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes = Processes(folder)
        self.control_plane = ControlPlane(folder, ensure_binaries(), self.processes)
        self._arguments: dict[str, list[str]] = {}

    def start(self) -> None:
        """Start etcd and API server; controller manager and scheduler rest until `wake`."""
        self.processes.open()
        self.control_plane.start()
        for name in ("kube-controller-manager", "kube-scheduler"):
            self._arguments[name] = _command(psutil.Process(self.part(name).pid))
            self.processes.stop(name, 10)

    def wake(self) -> None:
        """Start controller manager, scheduler and kwok, with room for a thousand jobs at once."""
        rates = ["--kube-api-qps=1000", "--kube-api-burst=2000", "--concurrent-job-syncs=20"]
        manager = [*self._arguments["kube-controller-manager"], *rates]
        self.processes.start("kube-controller-manager", manager)
        scheduler = self._arguments["kube-scheduler"]
        (config,) = (Path(word.partition("=")[2]) for word in scheduler if word.startswith("--config="))
        settings = json.loads(config.read_text())
        settings["clientConnection"] |= {"qps": 1000, "burst": 2000}
        config.write_text(json.dumps(settings))
        self.processes.start("kube-scheduler", scheduler)
        kubeconfig = f"--kubeconfig={self.control_plane.kubeconfig}"
        nodes = ["--manage-nodes-with-label-selector=type=kwok", "--cidr=10.0.0.0/16"]
        nodes += ["--node-lease-duration-seconds=40"]  # renewed every 10 s, as kubelets do: else nodes come and go
        self.processes.start("kwok", [ensure_kwok(), kubeconfig, *nodes, f"--config={STAGES}"])

    def rest(self) -> None:
        """End controller manager, scheduler and kwok."""
        for name in ("kwok", "kube-scheduler", "kube-controller-manager"):
            self.processes.stop(name, 10)

    def part(self, name: str) -> Part:
        """Return a running process."""
        (found,) = (part for part in self.processes.all() if part.name == name)
        return found

    def stop(self) -> None:
        """End everything."""
        self.rest()
        self.control_plane.stop()


@contextmanager
def new_world() -> Iterator[World]:
    """Start a world, and end it."""
    with tempfile.TemporaryDirectory(prefix="videojob-bench-", ignore_cleanup_errors=True) as folder:
        world = World(Path(folder))
        try:
            world.start()
            yield world
        finally:
            world.stop()


def ensure_kwok() -> Path:
    """Return kwok, built first from its Go module where it is not in the cache."""
    pinned = re.search(r"sigs.k8s.io/kwok (v\S+)", (GO_MODULE / "go.mod").read_text())
    version = pinned[1] if pinned else "unknown"
    program = cache_folder() / "kwok" / version
    if not program.exists():
        print("building kwok (a minute or two, once on this machine)", file=sys.stderr)
        environment = dict(os.environ, CGO_ENABLED="0", GOFLAGS="-mod=readonly", GOTOOLCHAIN="local")
        unfinished = program.with_suffix(f".{os.getpid()}")
        command = [str(find_go()), "build", "-trimpath", "-o", str(unfinished), KWOK_PACKAGE]
        subprocess.run(command, cwd=GO_MODULE, env=environment, check=True)
        unfinished.rename(program)
    return program


@dataclass(frozen=True)
class Cost:
    """What an operator has used since its start."""

    cpu_seconds: float
    rss_mb: float
    peak_rss_mb: float


def _command(process: psutil.Process) -> list[str]:
    """Return a command line, once the shell that starts the program has given way to it."""
    while (found := process.cmdline())[0] == "sh":
        time.sleep(0.01)
    return found


class Operator:
    """A running operator; a context manager."""

    def __init__(self, world: World, *, lease: str = "") -> None:
        for name, content in (("catalogue", CATALOGUE), ("profiles", PROFILES)):
            (world.folder / f"{name}.json").write_text(json.dumps(content))
        self.port = free_port()
        environment = {
            "KUBECONFIG": str(world.control_plane.kubeconfig),
            "VIDEOJOB_CATALOGUE": str(world.folder / "catalogue.json"),
            "VIDEOJOB_PROFILES": str(world.folder / "profiles.json"),
            "VIDEOJOB_NAMESPACES": NAMESPACE,
            "VIDEOJOB_RENDERER_IMAGE": "videojob-renderer:bench",
            "VIDEOJOB_RENDERER_SERVICE_ACCOUNT": "videojob-renderer",
            "VIDEOJOB_STORAGE_CONFIGMAP": "videojob-storage",
            "VIDEOJOB_HEALTH_PORT": str(self.port),
            "VIDEOJOB_LEASE": lease,
        }
        self.log = world.folder / f"operator-{self.port}.log"
        self.started_at = time.monotonic()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "videojob_operator"],
                env=os.environ | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._ps = psutil.Process(self._process.pid)

    def __enter__(self) -> Self:
        while self._get("/readyz") != (200, "ok"):
            if self._process.poll() is not None:
                raise RuntimeError(f"the operator ended: {self.log.read_text()[-2000:]}")
            time.sleep(0.05)
        self.ready_seconds = time.monotonic() - self.started_at
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=60)

    def cost(self) -> Cost:
        """Return CPU and memory."""
        times = self._ps.cpu_times()
        peak = next(
            int(line.split()[1]) / 1024
            for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
            if line.startswith("VmHWM")
        )
        return Cost(times.user + times.system, self._ps.memory_info().rss / 2**20, peak)

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples with these labels."""
        return metric(self._get("/metrics")[1], name, **labels)

    def writes(self) -> Counter[str]:
        """Return how many calls have changed something, by method, and how many were refused as out of date (409)."""
        writes = Counter(dict.fromkeys(("POST", "PATCH", "PUT", "DELETE", "conflicts"), 0))
        for family in text_string_to_metric_families(self._get("/metrics")[1] + "\n"):
            for sample in family.samples:
                if sample.name == "videojob_operator_api_requests_total" and sample.labels["method"] in writes:
                    conflict = sample.labels["code"] == "409"
                    writes["conflicts" if conflict else sample.labels["method"]] += int(sample.value)
        return writes

    def wait_until_idle(self, looks_at_least: int = 0) -> float:
        """Wait until the operator has nothing to do for two seconds; return when it was last seen busy."""
        busy_at, looks = time.monotonic(), -1.0
        while time.monotonic() - busy_at < _QUIET_SECONDS:
            cpu = self.cost().cpu_seconds  # of what it does by itself: to be asked for its metrics costs something too
            time.sleep(_POLL_SECONDS)
            is_busy = self.cost().cpu_seconds - cpu > _POLL_SECONDS / 10
            seen = self.metric("videojob_operator_reconcile_seconds_count")
            if is_busy or seen != looks or seen < looks_at_least:
                busy_at = time.monotonic()
            looks = seen
        return busy_at

    def _get(self, path: str) -> tuple[int, str]:
        return probe(self.port, path, timeout_seconds=30)
