"""The disaster drill of docs/backup.md: what was saved by kubectl comes back by kubectl, and is not rendered again."""

from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from backup_page import commands, paste, run_commands
from cluster import Cluster, Manifest, wait_for

from videojob_local import chart

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def with_kubectl(cluster: Cluster, script: str) -> str:
    """Return commands of the page, for a shell where kubectl is on PATH, and its namespace that of the context."""
    return f'kubectl() {{ "{cluster.kubectl.program}" --namespace={cluster.namespace} "$@"; }}\n{script}'


def variables(cluster: Cluster) -> dict[str, str]:
    """Return what the page tells the reader to set."""
    kubeconfig = str(cluster.kubectl.kubeconfig)
    return {"KUBECONFIG": kubeconfig, "RELEASE": chart.RELEASE, "RELEASE_NAMESPACE": cluster.namespace}


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

    save, restore = (with_kubectl(cluster, commands(section)) for section in ("Save", "Restore"))
    run_commands(save, tmp_path, variables(cluster))
    refused = paste(restore, tmp_path, variables(cluster))
    assert '"kept" already exists' in refused.stderr
    cluster.kubectl.run("delete", "videojobs", "--all", f"--namespace={cluster.namespace}")
    wait_for(lambda: cluster.job("kept") is None, "the end of the Job", seconds=120)
    astray = paste(restore, tmp_path, variables(cluster) | {"RELEASE": "another"})
    assert "no operator of release another" in astray.stderr
    assert cluster.all() == []
    run_commands(restore, tmp_path, variables(cluster))

    cluster.patch("waiting", {"spec": {"suspend": False}})
    cluster.wait_for_phase("waiting", "Succeeded", seconds=300)
    assert artifacts(cluster, "kept") == before
    assert cluster.job("kept") is None
    assert sha256(video(cluster, "kept")).hexdigest() == sha256(content).hexdigest()
