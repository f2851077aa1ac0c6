"""The pods of the chart: Pod Security "restricted" and a little stricter, probes, and an orderly end."""

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler

import pytest
from loopback_server import LoopbackServer, Quiet
from tests.chart.rendering import Manifest, Render, Rendered

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


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_an_api_on_loopback_is_probed_from_within(render: Render, host: str) -> None:
    (container,) = render(api__host=host).pod_spec("videojob-api")["containers"]
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert "httpGet" not in container[probe], "the kubelet would call the pod's address"
        (python, flag, code) = container[probe]["exec"]["command"]
        assert (python, flag) == ("python", "-c")
        assert f'"{host}", 8000' in code
        assert f'"{path}"' in code
    (container,) = render(api__host=host, api__probeHandler="httpGet").pod_spec("videojob-api")["containers"]
    assert "httpGet" in container["readinessProbe"], "on a node whose pods have its own addresses"


class Asked(Quiet, BaseHTTPRequestHandler):
    """The API of a pod that is alive and not ready."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 503)
        self.end_headers()


def test_its_probes_tell_a_good_answer_from_a_bad_one_and_from_none(render: Render) -> None:
    with LoopbackServer(Asked) as api:
        (container,) = render(api__host="127.0.0.1", api__port=str(api.port)).pod_spec("videojob-api")["containers"]
        assert outcome(container["livenessProbe"]) == 0
        assert outcome(container["readinessProbe"]) == 1
    assert outcome(container["livenessProbe"]) == 1


def outcome(probe: Manifest) -> int:
    """Run a probe's command behind a proxy that is not there, and return its exit code."""
    (_, *arguments) = probe["exec"]["command"]
    environment = os.environ | {"http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, stderr=subprocess.DEVNULL, check=False
    ).returncode


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
