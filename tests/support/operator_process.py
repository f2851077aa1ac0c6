"""An operator as a process of its own, with the rights that the chart gives."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cluster import Cluster, wait_for
from probes import metric, probe

from videojob_local.ports import free_port

CATALOGUE = {"defaultModel": "none", "models": {"none": {"family": "2b", "source": "/nowhere"}}}
PROFILES = {
    "default": {"gpus": 0, "image": "test/sleep:1"},
    "exit-0": {"gpus": 0, "image": "test/exit-0:1"},
    "second-pool": {"gpus": 0, "image": "test/sleep:1", "nodeSelector": {"pool": "second"}},
}


class Operator:
    """A running operator."""

    def __init__(
        self, folder: Path, kubeconfig: Path, namespace: str, port: int, command: tuple[str, ...] = (), **more: str
    ) -> None:
        (folder / "catalogue.json").write_text(json.dumps(CATALOGUE))
        (folder / "profiles.json").write_text(json.dumps(PROFILES))
        self.folder = folder
        self.log = folder / "operator.log"
        self.port = port
        environment = {
            "KUBECONFIG": str(kubeconfig),
            "VIDEOJOB_CATALOGUE": str(folder / "catalogue.json"),
            "VIDEOJOB_PROFILES": str(folder / "profiles.json"),
            "VIDEOJOB_NAMESPACES": namespace,
            "VIDEOJOB_RENDERER_IMAGE": "test/sleep:1",
            "VIDEOJOB_RENDERER_SERVICE_ACCOUNT": "videojob-renderer",
            "VIDEOJOB_STORAGE_CONFIGMAP": "videojob-storage",
            "VIDEOJOB_STORAGE_SECRET": "videojob-storage",
            "VIDEOJOB_HEALTH_PORT": str(port),
            **more,
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command or [sys.executable, "-m", "videojob_operator"],
                env=os.environ | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def probe(self, path: str) -> tuple[int, str]:
        """Return status and text of a probe; 0 while nobody answers."""
        return probe(self.port, path, timeout_seconds=5)

    def wait_until_ready(self) -> None:
        """Wait for /readyz."""
        wait_for(lambda: self.probe("/readyz") == (200, "ok"), "readiness of the operator", seconds=240)

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def lines(self) -> list[dict[str, Any]]:
        """Return what it logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples with these labels."""
        return metric(self.probe("/metrics")[1], name, **labels)

    def leads(self) -> bool:
        """Tell whether it is the one that works."""
        return self.probe("/readyz") == (200, "ok")

    def stands_by(self) -> bool:
        """Tell whether it waits for its turn."""
        return self.probe("/readyz") == (200, "standby")


class Start:
    """Starts operators for one namespace, with the account, the rights and the storage of the chart."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        self.started: list[Operator] = []

    def __call__(
        self,
        account: str = "videojob-operator",
        *,
        port: int = 0,
        kubeconfig: Callable[[Path], Path] = lambda path: path,
        command: tuple[str, ...] = (),
        **more: str,
    ) -> Operator:
        """Start one; `kubeconfig` may change how it reaches the API server, `more` are environment variables."""
        folder = self._folder / f"operator-{len(self.started)}"
        folder.mkdir()
        path = kubeconfig(self._cluster.service_account_kubeconfig(account, folder / "kubeconfig"))
        operator = Operator(folder, path, self._cluster.namespace, port or free_port(), command=command, **more)
        self.started.append(operator)
        return operator

    def close(self) -> None:
        """Kill what still runs, and delete the VideoJobs with all they own, for the next test to use their names."""
        for operator in self.started:
            operator.process.kill()
            operator.process.wait(timeout=10)
        cluster = self._cluster
        cluster.http.delete(cluster.url()).raise_for_status()
        options = {"propagationPolicy": "Background", "gracePeriodSeconds": "0"}
        for plural, group in (("jobs", "apis/batch/v1"), ("pods", "api/v1")):
            cluster.http.delete(cluster.url(plural=plural, group=group), params=options).raise_for_status()
        jobs = cluster.url(plural="jobs", group="apis/batch/v1")
        wait_for(lambda: not cluster.http.get(jobs).json()["items"], "the end of the Jobs", seconds=60)
