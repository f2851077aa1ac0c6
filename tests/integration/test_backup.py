"""The disaster drill of docs/backup.md: what was saved by kubectl comes back by kubectl, and is not rendered again."""

import subprocess
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from backup_page import commands, run_commands
from cluster import Cluster, Manifest, wait_for

from videojob_local import chart

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def shell(
    cluster: Cluster, script: str, folder: Path, release: str = chart.RELEASE
) -> subprocess.CompletedProcess[str]:
    """Run commands of the page as they stand there: kubectl is on PATH, and the namespace the one of the context."""
    kubectl = f'kubectl() {{ "{cluster.kubectl.program}" --namespace={cluster.namespace} "$@"; }}\n'
    variables = {
        "KUBECONFIG": str(cluster.kubectl.kubeconfig),
        "RELEASE": release,
        "RELEASE_NAMESPACE": cluster.namespace,
    }
    return run_commands(kubectl + script, folder, variables)


def video(cluster: Cluster, name: str) -> bytes:
    return httpx.get(f"{cluster.api_url}/video/{name}", timeout=30).raise_for_status().content


def artifacts(cluster: Cluster, name: str) -> Manifest:
    found: Manifest = (cluster.get(name) or {})["status"]["artifacts"]
    return found


def test_what_was_saved_comes_back_and_nothing_is_rendered_again(cluster: Cluster, tmp_path: Path) -> None:
    cluster.install()
    cluster.create("kept")
    cluster.create("waiting", spec={"suspend": True})
    cluster.wait_for_phase("kept", "Succeeded", seconds=300)
    cluster.wait_for_phase("waiting", "Queued")
    before, content = artifacts(cluster, "kept"), video(cluster, "kept")

    saving = shell(cluster, commands("Save"), tmp_path)
    assert saving.returncode == 0, saving.stderr
    refused = shell(cluster, commands("Restore"), tmp_path)
    assert '"kept" already exists' in refused.stderr
    cluster.kubectl.run("delete", "videojobs", "--all", f"--namespace={cluster.namespace}")
    wait_for(lambda: cluster.job("kept") is None, "the end of the Job", seconds=120)
    astray = shell(cluster, commands("Restore"), tmp_path, release="another")
    assert "no operator of release another" in astray.stderr
    assert cluster.all() == []
    restoring = shell(cluster, commands("Restore"), tmp_path)
    assert restoring.returncode == 0, restoring.stderr

    cluster.patch("waiting", {"spec": {"suspend": False}})
    cluster.wait_for_phase("waiting", "Succeeded", seconds=300)
    assert artifacts(cluster, "kept") == before
    assert cluster.job("kept") is None
    assert sha256(video(cluster, "kept")).hexdigest() == sha256(content).hexdigest()
