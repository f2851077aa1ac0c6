"""The life of a release on the real control plane: upgraded from the chart before this one, tested, removed.

tests/data/chart holds the chart of the version before, as `helm package` wrote it.
"""

import json
from typing import Any

import pytest
from cluster import ROOT, Cluster, wait_for

from videojob_local import chart
from videojob_local.ports import free_port
from videojob_local.tiny_models import ensure_tiny_models

pytestmark = [pytest.mark.cluster, pytest.mark.torch, pytest.mark.timeout(1200)]

DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/videojobs.videojob.dev"
PREVIOUS = ROOT / "tests/data/chart/videojob-0.1.0.tgz"


@pytest.fixture
def previous(own_cluster: Cluster) -> Cluster:
    """The previous chart with its VideoJob resource, installed with the values of the local stack."""
    cluster = own_cluster
    cluster.api_port = free_port()
    values = chart.local_values(
        cluster.stack.s3.storage,
        api_port=cluster.api_port,
        tiny_models=ensure_tiny_models(),
        default_model=chart.tiny_name("2b"),
    )
    # The previous chart does not know these.
    del values["tests"], values["operator"]["readNodes"], values["storage"]["brokerUrl"]
    for name in ("auth", "requestsPerMinute", "probeHandler"):
        del values["api"][name]
    where = ["--create-namespace", f"--namespace={cluster.namespace}", "--wait", "--timeout=300s"]
    command = ["install", chart.RELEASE, str(PREVIOUS), "--values=-", *where]
    chart.run_helm(cluster.stack.binaries, cluster.stack.kubeconfig, command, json.dumps(values))
    return cluster


def test_an_upgrade_loses_no_videojob_that_runs_or_waits(previous: Cluster) -> None:
    """One renders and one waits for its GPU while resource, operator, rights and policies are replaced under them.

    Their Jobs hold the keys of S3; one that is made afterwards has its requests signed.
    """
    previous.create("running", steps=12)
    previous.wait_for_phase("running", "Starting", "Running", seconds=480)
    previous.create("suspended", spec={"suspend": True})
    previous.wait_for_phase("suspended", "Queued", seconds=240)
    (pod,) = previous.pods("running")
    resource = definition(previous)
    previous.install("crds.enabled=true")
    assert definition(previous)["uid"] == resource["uid"]
    assert definition(previous)["generation"] > resource["generation"]
    assert [each["metadata"]["uid"] for each in previous.pods("running")] == [pod["metadata"]["uid"]]
    previous.patch("suspended", {"spec": {"suspend": False}})
    previous.create("new")
    for name in ("running", "suspended", "new"):
        status = previous.wait_for_phase(name, "Succeeded", seconds=480)["status"]
        assert status["attempts"] == 1
        assert status["artifacts"]["video"]["sha256"]
    keys = {"secretRef": {"name": "videojob-storage"}}
    assert [keys in env_from(previous, name) for name in ("running", "suspended", "new")] == [True, True, False]

    previous.install("crds.enabled=true", "crds.keep=false")
    chart.uninstall(previous.stack.binaries, previous.stack.kubeconfig, previous.namespace)
    wait_for(lambda: previous.http.get(DEFINITION).status_code == 404, "the resource to be gone, as told", seconds=240)


def definition(cluster: Cluster) -> dict[str, Any]:
    """Return the metadata of the VideoJob resource."""
    answer = cluster.http.get(DEFINITION).raise_for_status()
    metadata: dict[str, Any] = answer.json()["metadata"]
    return metadata


def env_from(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    """Return where the container of a Job has its variables from."""
    (container,) = (cluster.job(name) or {})["spec"]["template"]["spec"]["containers"]
    sources: list[dict[str, Any]] = container["envFrom"]
    return sources


def test_helm_test_passes_on_an_installation_that_works(cluster: Cluster) -> None:
    cluster.install()
    said = helm_test(cluster)
    assert "Phase:          Succeeded" in said
    logs = cluster.kubectl.run("logs", f"--namespace={cluster.namespace}", "videojob-test")
    assert 'GET /readyz -> {"status": "ok"}' in logs
    assert 'GET /health -> {"cpu_usage": ' in logs
    assert "dry run of a VideoJob -> accepted" in logs
    assert not cluster.kubectl.run("get", "vj", f"--namespace={cluster.namespace}", "--output=name")


def helm_test(cluster: Cluster) -> str:
    command = ["test", chart.RELEASE, f"--namespace={cluster.namespace}", "--timeout=120s"]
    return chart.run_helm(cluster.stack.binaries, cluster.stack.kubeconfig, command)


def test_an_uninstall_leaves_the_videojobs_their_jobs_and_the_result(cluster: Cluster) -> None:
    cluster.install("api.replicas=0")
    cluster.create("kept")
    cluster.wait_for_phase("kept", "Succeeded", seconds=480)
    chart.uninstall(cluster.stack.binaries, cluster.stack.kubeconfig, cluster.namespace)
    policies = "get", "validatingadmissionpolicies", "--output=name"
    wait_for(lambda: cluster.namespace not in cluster.kubectl.run(*policies), "the policies to be gone", seconds=120)
    kept = cluster.get("kept")
    assert kept
    assert kept["status"]["phase"] == "Succeeded"
    assert cluster.job("kept")
