"""The second drill of docs/backup.md: etcd is lost with all that was in it, and comes back from a snapshot."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from backup_page import commands, run_commands
from cluster import Cluster, wait_for

from videojob import environment
from videojob_local.binaries import ensure_binaries
from videojob_local.etcd_tools import ETCD_TOOLS
from videojob_local.processes import Part
from videojob_local.stack import Stack

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def cluster(own_cluster: Cluster) -> Cluster:
    """The chart on a stack of its own."""
    own_cluster.install("crds.enabled=true")
    return own_cluster


class Etcd:
    """The etcd of a stack, and how its commands reach it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._command = psutil.Process(self._part().pid).cmdline()
        pki = stack.folder / "control-plane/pki"
        member = ("name", "initial-cluster", "initial-advertise-peer-urls")
        self.environment = {
            "ETCDCTL_ENDPOINTS": self._flag("advertise-client-urls"),
            "ETCDCTL_CACERT": str(pki / "etcd-ca.crt"),
            "ETCDCTL_CERT": str(pki / "etcd-client.crt"),
            "ETCDCTL_KEY": str(pki / "etcd-client.key"),
            "ETCD_DATA": self._flag("data-dir"),
            "ETCD_MEMBER": " ".join(f"--{name}={self._flag(name)}" for name in member),
        }

    def kill(self) -> None:
        """Kill it."""
        psutil.Process(self._part().pid).kill()
        self._stack.processes.stop("etcd", 0)

    def start(self) -> None:
        """Start it as it was started before."""
        self._stack.processes.start("etcd", self._command)

    def _part(self) -> Part:
        (part,) = (part for part in self._stack.processes.all() if part.name == "etcd")
        return part

    def _flag(self, name: str) -> str:
        (value,) = (word.partition("=")[2] for word in self._command if word.startswith(f"--{name}="))
        return value


def in_pods(stack: Stack) -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    """All processes of pods of the stack, with their variables."""
    for process in psutil.process_iter(["cmdline", "environ"]):
        variables = process.info["environ"] or {}
        if variables.get("VIDEOJOB_NODE_POD", "").startswith(str(stack.folder)):
            yield process, variables


def parts(stack: Stack) -> dict[str, int]:
    """All processes that watch the API server, operator and API included, by name."""
    found = {part.name: part.pid for part in stack.processes.all() if part.name not in {"etcd", "kube-apiserver"}}
    for process, _ in in_pods(stack):
        found |= {
            name: process.pid for name in ("videojob_operator", "videojob_api") if name in process.info["cmdline"]
        }
    return found


def renders(stack: Stack, name: str) -> bool:
    return any(variables.get(environment.NAME) == name for _, variables in in_pods(stack))


def test_a_cluster_that_comes_back_from_a_snapshot_has_its_videojobs_and_renders_none_again(
    cluster: Cluster, tmp_path: Path
) -> None:
    stack, control_plane = cluster.stack, cluster.stack.control_plane
    etcd, tools = Etcd(stack), ensure_binaries(ETCD_TOOLS).folder
    with httpx.Client(base_url=cluster.api_url, timeout=60) as rest:
        cluster.create("kept")
        cluster.create("waiting", spec={"suspend": True})
        cluster.wait_for_phase("kept", "Succeeded", seconds=300)
        cluster.wait_for_phase("waiting", "Queued", seconds=240)
        wait_for(lambda: (cluster.job("kept") or {})["status"].get("succeeded"), "the end of the Job", seconds=240)
        kept, job = cluster.get("kept"), cluster.job("kept") or {}
        video = rest.get("/video/kept").raise_for_status().content
        cluster.create("between")
        cluster.wait_for_phase("between", "Starting", "Running", seconds=240)

        run_commands(commands("Save a snapshot"), tmp_path, etcd.environment, tools)
        between = cluster.wait_for_phase("between", "Succeeded", seconds=300)["status"]["artifacts"]
        cluster.create("later")
        cluster.wait_for_phase("later", "Starting", "Running", "Uploading", "Succeeded", seconds=240)
        wait_for(lambda: rest.get("/status/later").status_code == 200, "the API's knowing of it", seconds=240)

        watching = parts(stack)
        control_plane.stop_api_server()
        etcd.kill()
        run_commands(commands("Restore a snapshot"), tmp_path, etcd.environment, tools)
        etcd.start()
        control_plane.start_api_server()
        # For a moment it answers 429 for custom resources; kubectl asks again until it does not.
        cluster.kubectl.run("get", "videojobs", f"--namespace={cluster.namespace}")

        cluster.patch("waiting", {"spec": {"suspend": False}})
        cluster.wait_for_phase("waiting", "Starting", "Running", "Uploading", "Succeeded", seconds=600)
        again = cluster.wait_for_phase("between", "Succeeded", seconds=600)["status"]
        assert (again["artifacts"], again["attempts"]) == (between, 1)
        assert cluster.get("kept") == kept
        assert (cluster.job("kept") or {})["metadata"]["uid"] == job["metadata"]["uid"]
        assert len(cluster.pods("kept")) == 1
        assert rest.get("/video/kept").raise_for_status().content == video
        assert cluster.get("later") is None
        wait_for(lambda: rest.get("/status/later").status_code == 404, "the API's forgetting what is gone", seconds=240)
        wait_for(lambda: not renders(stack, "later"), "the end of what no VideoJob asks for", seconds=240)
    assert parts(stack) == watching, "a part was started again, and the page says that none need be"
