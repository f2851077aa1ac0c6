"""The chart as a whole: clean for helm's linter, equal to its golden renderings, and carrying the CRD unchanged."""

from pathlib import Path

import pytest
import yaml
from scripts import golden_renders
from tests.chart.rendering import Helm, Render, Rendered

from videojob_local.binaries import Binaries


@pytest.mark.parametrize("name", golden_renders.CASES)
def test_helm_lint_is_content(helm: Helm, name: str) -> None:
    values = [f"--values={golden_renders.VALUES[name]}"] if name in golden_renders.VALUES else []
    result = helm("lint", "--strict", "charts/videojob", *values)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", golden_renders.CASES)
def test_it_renders_to_the_golden_manifests(binaries: Binaries, name: str) -> None:
    rendered = golden_renders.render(name, str(binaries["helm"]))
    golden = (golden_renders.GOLDEN / f"{name}.yaml").read_text()
    assert list(yaml.safe_load_all(rendered)) == list(yaml.safe_load_all(golden)), (
        "to accept the change: `make golden`, and read the difference"
    )


def test_there_is_no_golden_file_that_nothing_renders_to() -> None:
    assert {path.stem for path in golden_renders.GOLDEN.glob("*.yaml")} == set(golden_renders.CASES)


def test_the_definition_is_the_generated_one_and_survives_an_uninstall(default: Rendered, root: Path) -> None:
    definition = default.one("CustomResourceDefinition", "videojobs.videojob.dev")
    assert definition["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert definition == yaml.safe_load((root / "crds/videojobs.yaml").read_text())


def test_the_definition_can_be_left_to_someone_else_or_go_with_the_release(render: Render) -> None:
    assert not render(crds__enabled="false").of_kind("CustomResourceDefinition")
    (definition,) = render(crds__keep="false").of_kind("CustomResourceDefinition")
    assert "annotations" not in definition["metadata"]


def test_two_releases_in_a_namespace_do_not_share_a_name(helm: Helm) -> None:
    def names(release: str) -> set[tuple[str, str]]:
        rendered = helm("template", release, "charts/videojob", "--set=crds.enabled=false").stdout
        return {(each["kind"], each["metadata"]["name"]) for each in yaml.safe_load_all(rendered) if each}

    assert not names("first") & names("second")
    assert ("Service", "first-videojob-api") in names("first")


def test_releases_of_one_name_in_two_namespaces_do_not_share_a_name_of_the_whole_cluster(helm: Helm) -> None:
    def names(namespace: str) -> set[tuple[str, str]]:
        rendered = helm("template", "video", "charts/videojob", f"--namespace={namespace}", "--set=crds.enabled=false")
        manifests = [each for each in yaml.safe_load_all(rendered.stdout) if each]
        return {(m["kind"], m["metadata"]["name"]) for m in manifests if "namespace" not in m["metadata"]}

    assert len(names("first")) == 8
    assert not names("first") & names("second")


def test_names_stay_within_what_kubernetes_allows(helm: Helm) -> None:
    rendered = helm("template", "r" * 53, "charts/videojob", "--set=crds.enabled=false").stdout
    for name in (each["metadata"]["name"] for each in yaml.safe_load_all(rendered) if each):
        assert len(name) <= 63 or (
            name.endswith((".renderer-status", ".renderer-account", ".operator-jobs")) and len(name) <= 253
        )


def test_the_notes_warn_of_what_would_hurt_later(helm: Helm) -> None:
    def notes(*values: str) -> str:
        settings = [f"--set={value}" for value in values]
        result = helm("install", "videojob", "charts/videojob", "--dry-run=client", "--namespace=videojob", *settings)
        assert result.returncode == 0, result.stderr
        return result.stdout.partition("NOTES:")[2]

    assert "No S3 keys are set" in notes()
    assert "nodes pull videojob-operator, videojob-api, videojob-renderer from" in notes()
    assert "nodes pull" not in notes("imageRegistry=registry.example.com/video")
    whole = "operator.image.repository=r.example.com/o,api.image.repository=r.example.com/a"
    assert "nodes pull videojob-renderer from" in notes(whole)
    assert "delete every VideoJob" not in notes()
    assert "delete every VideoJob" in notes("crds.keep=false")
    assert "No S3 keys are set" not in notes("storage.existingSecret=keys")
    assert "Renderers need none" in notes("storage.workloadIdentity=true")
    assert "a service account has no role" in notes("storage.workloadIdentity=true", "storage.rendererAccess=secret")
    assert "open the whole bucket" in notes("storage.rendererAccess=secret")
    assert "open the whole bucket" not in notes()
    in_s3 = "models.CogVideoX-5b.source=s3://models/5b"
    assert "cannot load CogVideoX-5b" in notes(in_s3, "storage.rendererAccess=broker")
    assert "does not sign" not in notes(in_s3)
    assert "keeps them in the cluster" in notes("storage.accessKeyId=a,storage.secretAccessKey=b")
    assert "chown 65532 /w" in notes("weights.hostPath=/w")
    assert "port-forward" in notes("api.host=127.0.0.1"), "it enters the pod's own network"
    assert "localhost:8000" not in notes("api.replicas=0")
    assert "--clusterrole=edit" in notes()
    assert "--clusterrole=edit" not in (own := notes("crds.aggregateRoles=false")), "that role knows no VideoJobs then"
    assert "create role video --verb=get,list,watch,create,update,patch,delete" in own
    assert "apply -f examples/videojob.yaml" in notes("api.replicas=0")
    assert "templates/cluster/*.yaml" in notes("clusterObjects.enabled=false")
    assert "any VideoJob" in notes("admissionPolicies.enabled=false")
    assert "create token video" in notes()
    keys = notes("api.auth.mode=keys,api.auth.keysSecret=video-keys")
    assert "create secret generic video-keys" in keys.partition("new-key")[0], "the pod that draws keys waits for it"
    assert "whoever reaches the API" in notes("api.auth.mode=none,api.auth.allowAnyone=true")
    assert "whoever reaches the API" not in notes()
    scraped = (
        "networkPolicies.enabled=true,monitoring.podMonitor.enabled=true,networkPolicies.apiFrom[0].podSelector.a=b"
    )
    assert "by those of apiFrom only" in notes(scraped)
    assert "by those of apiFrom only" not in notes(scraped, "networkPolicies.metricsFrom[0].podSelector.a=b")
    assert "waits for a first consumer" in notes("weights.claim.create=true")
    assert "waits for a first consumer" not in notes("weights.claim.create=true,weights.fetch.enabled=true")
    assert "downloads" in notes()
    assert "downloads" not in notes("weights.claim.existing=c")


def test_a_kubernetes_without_selectable_fields_is_refused(helm: Helm) -> None:
    assert helm("template", "videojob", "charts/videojob", "--kube-version=1.31.0").returncode == 0
    result = helm("template", "videojob", "charts/videojob", "--kube-version=1.30.9")
    assert result.returncode != 0
    assert "1.31" in result.stderr
