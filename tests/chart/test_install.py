"""The chart on a real control plane: admitted under Pod Security "restricted", with no more rights than its Roles."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cluster import Kubectl
from scripts import golden_renders
from tests.chart.rendering import Helm, Manifest, Rendered

from videojob.catalogue import Catalogue
from videojob.request import VideoJobRequest
from videojob.resolve import resolve
from videojob_operator.job import build_job
from videojob_operator.settings import Settings, read_profiles

pytestmark = pytest.mark.cluster

PARTS = ("operator", "api", "renderer")
DEFINED_ELSEWHERE = {"monitoring.coreos.com/v1", "gateway.networking.k8s.io/v1"}
"""API versions whose definitions are not Kubernetes' own."""

EVERYBODY = {"authorization.k8s.io", "authentication.k8s.io"}
"""API groups in which Kubernetes lets every identity ask about itself."""


@pytest.fixture(scope="module")
def place(kubectl: Kubectl) -> Iterator[str]:
    """Return a namespace that enforces Pod Security "restricted"."""
    name = "chart-restricted"
    kubectl.run("create", "namespace", name)
    kubectl.run("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield name
    kubectl.run("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def release(helm: Helm, kubectl: Kubectl, place: str) -> str:
    """Install the chart, with nobody to run its pods, and return the namespace."""
    result = helm(
        "install",
        "videojob",
        "charts/videojob",
        f"--kubeconfig={kubectl.kubeconfig}",
        f"--namespace={place}",
        "--set=crds.enabled=false,operator.nodeSelector.nobody=here,api.nodeSelector.nobody=here",
    )
    assert result.returncode == 0, result.stderr
    return place


def test_pods_of_the_chart_are_admitted_under_pod_security_restricted(kubectl: Kubectl, release: str) -> None:
    """A Deployment counts no pod that was refused."""
    for part, replicas in (("operator", 2), ("api", 1)):
        created = (f"--for=jsonpath={{.status.replicas}}={replicas}", "--timeout=60s")
        kubectl.run("wait", f"--namespace={release}", f"deployment/videojob-{part}", *created)


def test_the_pod_of_a_videojob_is_admitted_as_well(
    kubectl: Kubectl, default: Rendered, release: str, tmp_path: Path
) -> None:
    """A Pod like the one of its Job, because admission only warns of Jobs."""
    (tmp_path / "profiles.json").write_text(default.one("ConfigMap", "videojob-config")["data"]["profiles.json"])
    catalogue = Catalogue.model_validate_json(default.one("ConfigMap", "videojob-config")["data"]["catalogue.json"])
    profile = read_profiles(tmp_path / "profiles.json")["default"]
    told = default.environment("videojob-operator")
    settings = Settings(
        catalogue=catalogue,
        profiles={"default": profile},
        namespaces=(release,),
        renderer_image=told["VIDEOJOB_RENDERER_IMAGE"],
        renderer_service_account=told["VIDEOJOB_RENDERER_SERVICE_ACCOUNT"],
        storage_config_map=told["VIDEOJOB_STORAGE_CONFIGMAP"],
        storage_secret=None,
    )
    owner = {
        "metadata": {"name": "panda", "namespace": release, "uid": "0"},
        "spec": {"backoffLimit": 3},
    }
    job = build_job(owner, resolve(VideoJobRequest(prompt="a panda"), catalogue), profile, settings)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "panda"}, "spec": job["spec"]["template"]["spec"]}
    controller = "--as=system:serviceaccount:kube-system:job-controller"  # nobody else may use the renderer's account
    where = ("--dry-run=server", "--filename=-", f"--namespace={release}", controller)
    kubectl.run("create", *where, stdin=json.dumps(pod))
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    assert "violates PodSecurity" in kubectl("create", *where, stdin=json.dumps(pod)).stderr


def rules(kubectl: Kubectl, namespace: str, identity: str) -> set[tuple[str, str, str]]:
    """Return group, resource and verb of all that an identity may do in a namespace, asked of the API server itself."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    answer = json.loads(
        kubectl.run(
            "create", "--validate=false", "--output=json", f"--as={identity}", "--filename=-", stdin=json.dumps(review)
        )
    )
    found: list[Manifest] = answer["status"]["resourceRules"]
    return {
        (group, resource, verb)
        for rule in found
        if not rule.get("resourceNames")
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if group not in EVERYBODY
    }


@pytest.mark.parametrize("part", PARTS)
def test_each_identity_has_the_rights_of_its_role_and_no_other(kubectl: Kubectl, release: str, part: str) -> None:
    role = json.loads(kubectl.run("get", "role", f"videojob-{part}", f"--namespace={release}", "--output=json"))
    granted = {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    identity = f"system:serviceaccount:{release}:videojob-{part}"
    lease = {("coordination.k8s.io", "leases", "create")} if part == "operator" else set()
    assert rules(kubectl, release, identity) == granted | lease
    assert rules(kubectl, "default", identity) == set()


@pytest.mark.parametrize(
    ("part", "verb", "resource", "answer"),
    [
        ("operator", "create", "jobs.batch", "yes"),
        ("operator", "patch", "videojobs.videojob.dev", "no"),
        ("operator", "get", "secrets", "no"),
        ("operator", "create", "pods", "no"),
        ("operator", "update", "leases.coordination.k8s.io/videojob-operator", "yes"),
        ("operator", "update", "leases.coordination.k8s.io", "no"),
        ("api", "create", "videojobs.videojob.dev", "yes"),
        ("api", "create", "jobs.batch", "no"),
        ("api", "get", "secrets", "no"),
        ("renderer", "get", "videojobs.videojob.dev", "no"),
        ("renderer", "list", "pods", "no"),
        ("renderer", "create", "videojobs.videojob.dev", "no"),
    ],
)
def test_kubectl_auth_can_i(kubectl: Kubectl, release: str, part: str, verb: str, resource: str, answer: str) -> None:
    identity = f"system:serviceaccount:{release}:videojob-{part}"
    result = kubectl("auth", "can-i", verb, resource, f"--namespace={release}", f"--as={identity}")
    assert result.stdout.strip() == answer


def test_examples_are_accepted_by_the_api_server(kubectl: Kubectl, release: str, root: Path) -> None:
    for example in sorted((root / "examples").glob("*.yaml")):
        kubectl.run("create", "--dry-run=server", f"--namespace={release}", f"--filename={example}")


@pytest.mark.parametrize("name", golden_renders.CASES)
def test_everything_rendered_is_valid_for_the_api_server(kubectl: Kubectl, release: str, root: Path, name: str) -> None:
    """All fields the API server knows, none it would drop: `--validate=strict` refuses those."""
    golden = (root / f"tests/chart/golden/{name}.yaml").read_text()
    manifests = [each for each in yaml.safe_load_all(golden) if each]
    known = [each for each in manifests if each["apiVersion"] not in DEFINED_ELSEWHERE]
    for manifest in known:
        if "namespace" in manifest["metadata"]:
            manifest["metadata"]["namespace"] = release
        manifest["metadata"]["name"] = f"other-{manifest['metadata']['name']}"
    content = {"apiVersion": "v1", "kind": "List", "items": known}
    kubectl.run("apply", "--dry-run=server", "--validate=strict", "--filename=-", stdin=json.dumps(content))


def test_who_has_rights_in_one_namespace_only_installs_what_an_administrator_has_prepared(
    kubectl: Kubectl, helm: Helm
) -> None:
    """Command by command as docs/install.md says."""
    place, chart = "chart-delegated", ("videojob", "charts/videojob", "--namespace=chart-delegated")
    kubectl.run("create", "namespace", place)
    theirs = ("--set=clusterObjects.installerRole=true", "--show-only=templates/cluster/*.yaml")
    prepared = helm("template", *chart, *theirs).stdout
    kubectl.run("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=prepared)
    try:
        for role in ("admin", f"videojob.{place}.installer"):
            kubectl.run("create", "rolebinding", role, f"--namespace={place}", f"--clusterrole={role}", "--user=you")
        values = "--set=clusterObjects.enabled=false,operator.replicas=0,api.replicas=0"
        you = (f"--kubeconfig={kubectl.kubeconfig}", "--kube-as-user=you", values)
        for _ in range(2):
            result = helm("upgrade", "--install", *chart, *you)
            assert result.returncode == 0, result.stderr
        assert helm("uninstall", "videojob", *chart[2:], *you[:2]).returncode == 0
    finally:
        kubectl.run("delete", *names_without_the_definition(prepared))
        kubectl.run("delete", "namespace", place, "--wait=false")


def names_without_the_definition(manifests: str) -> list[str]:
    """Return KIND/NAME of each object, but for the definition, which other tests need."""
    found = [each for each in yaml.safe_load_all(manifests) if each]
    return [f"{m['kind']}/{m['metadata']['name']}" for m in found if m["kind"] != "CustomResourceDefinition"]


def test_a_definition_of_another_owner_is_refused_with_words_that_troubleshooting_has(
    kubectl: Kubectl, helm: Helm, place: str, root: Path
) -> None:
    where = (f"--kubeconfig={kubectl.kubeconfig}", f"--namespace={place}")
    result = helm("install", "newcomer", "charts/videojob", *where)
    assert result.returncode != 0
    words = "invalid ownership metadata"
    assert words in result.stderr
    assert re.search(rf"{words}.*--take-ownership", (root / "docs/troubleshooting.md").read_text())


def test_an_uninstall_keeps_the_definition_and_with_it_every_videojob(kubectl: Kubectl, helm: Helm, place: str) -> None:
    where = (f"--kubeconfig={kubectl.kubeconfig}", f"--namespace={place}")
    values = "--set=operator.replicas=0,api.replicas=0,fullnameOverride=short-lived"
    result = helm("install", "short-lived", "charts/videojob", *where, values, "--take-ownership")
    assert result.returncode == 0, result.stderr
    name = kubectl.run("create", f"--namespace={place}", "--filename=examples/videojob.yaml", "--output=name").strip()
    assert helm("uninstall", "short-lived", *where, "--wait").returncode == 0
    assert kubectl.run("get", name, f"--namespace={place}", "--output=name").strip() == name
    left = kubectl.run("get", "roles,configmaps,deployments,services", f"--namespace={place}", "--output=name")
    assert "short-lived" not in left
