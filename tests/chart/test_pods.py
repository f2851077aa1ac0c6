"""The pods of the chart: Pod Security "restricted" and a little stricter, probes, and an orderly end."""

import pytest
from tests.chart.rendering import Render, Rendered

DEPLOYMENTS = ("videojob-operator", "videojob-api")


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_pods_run_unprivileged_with_a_read_only_root(default: Rendered, name: str) -> None:
    spec = default.pod_spec(name)
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert all(set(volume) - {"name"} <= {"configMap", "emptyDir"} for volume in spec["volumes"])


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_pods_are_probed_and_bounded(default: Rendered, name: str) -> None:
    (container,) = default.pod_spec(name)["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    (port,) = container["ports"]
    assert (
        container["livenessProbe"]["httpGet"]["port"] == port["name"] == container["readinessProbe"]["httpGet"]["port"]
    )
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_the_image_alone_says_what_runs(default: Rendered, name: str) -> None:
    (container,) = default.pod_spec(name)["containers"]
    assert not {"command", "args"} & set(container)


def test_the_api_drains_before_it_ends(default: Rendered) -> None:
    spec = default.pod_spec("videojob-api")
    drain_seconds = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < drain_seconds < spec["terminationGracePeriodSeconds"]


def test_a_second_operator_stands_by_and_a_lease_says_which_one_works(default: Rendered) -> None:
    spec = default.one("Deployment", "videojob-operator")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["type"] == "RollingUpdate"
    assert default.environment("videojob-operator")["VIDEOJOB_LEASE"]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_pods_carry_the_labels_their_deployment_selects(default: Rendered, name: str) -> None:
    spec = default.one("Deployment", name)["spec"]
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


def test_the_service_leads_to_the_api_alone(default: Rendered) -> None:
    service = default.one("Service", "videojob-api")["spec"]
    assert service["ports"] == [{"name": "http", "port": 80, "targetPort": "http"}]
    selected = [
        deployment["metadata"]["name"]
        for deployment in default.of_kind("Deployment")
        if service["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    ]
    assert selected == ["videojob-api"]


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ({}, "videojob-api:0.1.0"),
        ({"api__image__tag": "9.9"}, "videojob-api:9.9"),
        ({"imageRegistry": "registry.example.com/a"}, "registry.example.com/a/videojob-api:0.1.0"),
        ({"api__image__tag": "9.9", "api__image__digest": f"sha256:{'a' * 64}"}, f"videojob-api@sha256:{'a' * 64}"),
    ],
)
def test_a_digest_wins_over_a_tag_and_the_registry_comes_first(
    render: Render, values: dict[str, str], image: str
) -> None:
    assert render(**values).pod_spec("videojob-api")["containers"][0]["image"] == image


@pytest.mark.parametrize("change", [{"defaultModel": "CogVideoX-5b"}, {"storage__bucket": "other"}])
def test_a_change_of_configuration_starts_new_pods(default: Rendered, render: Render, change: dict[str, str]) -> None:
    for name in DEPLOYMENTS:
        before = default.one("Deployment", name)["spec"]["template"]
        after = render(**change).one("Deployment", name)["spec"]["template"]
        assert before["metadata"]["annotations"] != after["metadata"]["annotations"]


def test_an_upgrade_of_the_chart_alone_starts_no_new_pods(default: Rendered) -> None:
    for name in DEPLOYMENTS:
        labels = default.one("Deployment", name)["spec"]["template"]["metadata"]["labels"]
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(labels)
