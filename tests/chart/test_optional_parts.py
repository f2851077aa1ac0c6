"""What can be switched on: each part does what its value says, and is absent without it."""

import json
import re
from pathlib import Path

import pytest
import yaml
from tests.chart.rendering import Manifest, Render, Rendered

from videojob.reasons import Reason
from videojob_api.metrics import Metrics as ApiMetrics
from videojob_operator.live_settings import LiveSettings
from videojob_operator.metrics import Metrics
from videojob_operator.settings import read_profiles, read_settings

CI = "charts/videojob/ci"


@pytest.fixture(scope="module")
def gateway(render: Render) -> Rendered:
    return render(f"--values={CI}/gateway-values.yaml")


@pytest.fixture(scope="module")
def monitoring(render: Render) -> Rendered:
    return render(f"--values={CI}/monitoring-values.yaml")


@pytest.fixture(scope="module")
def node_cache(render: Render) -> Rendered:
    return render(f"--values={CI}/node-cache-values.yaml")


REVIEWS = "videojob-videojob-api-reviews"


def test_the_api_asks_the_cluster_who_calls_and_may_do_no_more_than_that(default: Rendered) -> None:
    assert default.environment("videojob-api")["VIDEOJOB_API_AUTH"] == "kubernetes"
    assert default.one("ClusterRole", REVIEWS)["rules"] == [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ]
    (subject,) = default.one("ClusterRoleBinding", REVIEWS)["subjects"]
    assert (subject["name"], subject["namespace"]) == ("videojob-api", "videojob")


def test_keys_are_mounted_from_their_secret(render: Render) -> None:
    full = render(f"--values={CI}/full-values.yaml")
    told, spec = full.environment("videojob-api"), full.pod_spec("videojob-api")
    (volume,) = [each for each in spec["volumes"] if each["name"] == "keys"]
    (mount,) = [each for each in spec["containers"][0]["volumeMounts"] if each["name"] == "keys"]
    assert volume["secret"]["secretName"] == "video-keys"
    assert told["VIDEOJOB_API_KEYS_FILE"] == f"{mount['mountPath']}/keys.json"
    assert mount["readOnly"]
    assert told["VIDEOJOB_NAMESPACE"] == "studio,research"
    assert told["VIDEOJOB_API_CORS_ORIGINS"] == "https://studio.example.com,https://labs.example.com:8443"


def test_an_api_for_everyone_is_told_so(node_cache: Rendered, default: Rendered) -> None:
    assert node_cache.environment("videojob-api")["VIDEOJOB_API_ALLOW_ANYONE"] == "true"
    assert "VIDEOJOB_API_ALLOW_ANYONE" not in default.environment("videojob-api")


def test_nothing_optional_is_there_unless_it_is_asked_for(default: Rendered) -> None:
    assert {manifest["kind"] for manifest in default.manifests} == {
        "ClusterRole",
        "ClusterRoleBinding",  # of the API, which asks who calls
        "ConfigMap",
        "CustomResourceDefinition",
        "Deployment",
        "Pod",  # of helm test
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        *(["PodDisruptionBudget"] if default.one("Deployment", "videojob-operator")["spec"]["replicas"] > 1 else []),
    }


def test_the_autoscaler_owns_the_number_of_pods(gateway: Rendered, default: Rendered) -> None:
    (autoscaler,) = gateway.of_kind("HorizontalPodAutoscaler")
    assert autoscaler["spec"]["scaleTargetRef"]["name"] == "videojob-api"
    assert "replicas" not in gateway.one("Deployment", "videojob-api")["spec"]
    assert default.one("Deployment", "videojob-api")["spec"]["replicas"] == 1


def test_a_budget_guards_several_pods_and_a_single_one_may_go(gateway: Rendered, render: Render) -> None:
    budget = gateway.one("PodDisruptionBudget", "videojob-api")["spec"]
    labels = gateway.one("Deployment", "videojob-api")["spec"]["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"].items() <= labels.items()
    assert budget["maxUnavailable"] == "50%"
    single = render(operator__replicas="1", api__replicas="1")
    assert not single.of_kind("PodDisruptionBudget")


@pytest.mark.parametrize("name", ["videojob-operator", "videojob-api"])
def test_pods_are_spread_and_each_part_by_itself(default: Rendered, name: str) -> None:
    (constraint,) = default.pod_spec(name)["topologySpreadConstraints"]
    labels = default.one("Deployment", name)["spec"]["selector"]["matchLabels"]
    assert constraint["labelSelector"]["matchLabels"] == labels


def test_the_route_leads_from_the_gateway_to_the_service(gateway: Rendered) -> None:
    (route,) = gateway.of_kind("HTTPRoute")
    (rule,) = route["spec"]["rules"]
    (backend,) = rule["backendRefs"]
    service = gateway.one("Service", backend["name"])
    assert backend["port"] == service["spec"]["ports"][0]["port"]
    assert route["spec"]["parentRefs"] == [{"name": "public", "namespace": "gateways"}]


def test_templates_in_extra_objects_are_rendered(gateway: Rendered) -> None:
    assert gateway.one("ResourceQuota", "videojob-gpus", "videojob")["spec"]["hard"]


def test_priority_classes_are_those_that_profiles_name(gateway: Rendered, tmp_path: Path) -> None:
    classes = {each["metadata"]["name"]: each["value"] for each in gateway.of_kind("PriorityClass")}
    assert classes == {"video-batch": -10}
    assert profiles(gateway, tmp_path)["batch"].priority_class_name == "video-batch"


def profiles(rendered: Rendered, folder: Path) -> dict[str, object]:
    (folder / "profiles.json").write_text(rendered.one("ConfigMap", "videojob-config")["data"]["profiles.json"])
    return read_profiles(folder / "profiles.json")  # type: ignore[return-value]


def test_every_profile_mounts_the_cache_of_weights(gateway: Rendered, tmp_path: Path) -> None:
    for profile in profiles(gateway, tmp_path).values():
        assert profile.volumes[0]["persistentVolumeClaim"] == {"claimName": "videojob-weights"}
        assert profile.volume_mounts[0] == {"name": "weights", "mountPath": "/weights"}
        told = {entry["name"]: entry.get("value") for entry in profile.env}
        assert told == {"VIDEOJOB_MODEL_CACHE": "/weights", "HF_TOKEN": None, "HF_HUB_OFFLINE": "1"}


def test_what_a_profile_says_itself_comes_after_and_so_wins(render: Render, tmp_path: Path) -> None:
    own = "profiles.default.env[0].name=VIDEOJOB_MODEL_CACHE,profiles.default.env[0].value=/mine"
    rendered = render("--set=weights.claim.existing=c", f"--set={own}")
    env = profiles(rendered, tmp_path)["default"].env
    assert [entry["value"] for entry in env] == ["/weights", "/mine"]


def test_a_folder_of_the_node_is_a_cache_as_well(node_cache: Rendered, tmp_path: Path) -> None:
    profile = profiles(node_cache, tmp_path)["default"]
    assert profile.volumes[0]["hostPath"] == {"path": "/var/cache/videojob", "type": "Directory"}, (
        "a folder that the kubelet makes is root's, and no pod could write there"
    )
    assert profile.volume_mounts[0]["mountPath"] == "/cache"


def test_each_model_is_fetched_by_a_job_that_fills_the_claim(gateway: Rendered) -> None:
    jobs = {job["metadata"]["annotations"]["videojob.dev/model"]: job for job in gateway.of_kind("Job")}
    assert set(jobs) == {"CogVideoX-2b", "CogVideoX1.5-5B"}
    spec = jobs["CogVideoX-2b"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["args"] == [
        *("fetch", "zai-org/CogVideoX-2b", "--cache", "/weights"),
        *("--revision", "1137dacfc2c9c012bed6a0793f4ecf2ca8e7ba01"),
    ]
    assert "HF_HUB_OFFLINE" not in {entry["name"] for entry in container["env"]}, "somebody must ask the hub"
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == "videojob-fetch"
    assert not [b for b in gateway.of_kind("RoleBinding") if "fetch" in json.dumps(b)]
    (claim,) = gateway.of_kind("PersistentVolumeClaim")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


FETCH = "--set=weights.claim.existing=c,weights.fetch.enabled=true"


@pytest.mark.parametrize(
    "change",
    [
        "models.CogVideoX-2b.revision=1137dac",
        "renderer.image.tag=next",
        "renderer.image.pullPolicy=Always",
        "weights.mountPath=/cache",
        "weights.claim.existing=other",
        "weights.hubTokenSecret=hub",
        "weights.fetch.resources.limits.memory=8Gi",
        "weights.fetch.tolerations[0].operator=Exists",
        "weights.fetch.nodeSelector.pool=cpu",
        "weights.fetch.env[0].name=HTTPS_PROXY,weights.fetch.env[0].value=http://proxy:3128",
        "storage.existingSecret=keys",
        "storage.endpoint=https://s3.example.com",
        "imagePullSecrets={registry}",
    ],
)
def test_a_job_whose_pod_would_change_has_another_name(render: Render, change: str) -> None:
    """Kubernetes refuses to change the pod of a Job, and would refuse the whole upgrade."""
    (before,), (after,) = render(FETCH).of_kind("Job"), render(FETCH, f"--set={change}").of_kind("Job")
    assert before["metadata"]["name"] != after["metadata"]["name"]


def test_a_job_that_fetches_has_an_environment_of_its_own_that_wins(render: Render) -> None:
    own = "weights.fetch.env[0].name=HF_HOME,weights.fetch.env[0].value=/tmp/mine"
    (job,) = render(FETCH, f"--set={own},weights.fetch.nodeSelector.pool=cpu").of_kind("Job")
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert [entry["value"] for entry in container["env"] if entry["name"] == "HF_HOME"] == ["/tmp/mine"]
    assert spec["nodeSelector"] == {"pool": "cpu"}


def test_an_upgrade_that_fetches_the_same_leaves_the_job_alone(render: Render) -> None:
    (before,) = render(FETCH).of_kind("Job")
    (after,) = render(FETCH, "--set=operator.replicas=3,models.CogVideoX-5b.revision=8fac0cc").of_kind("Job")
    assert before == after


def test_two_models_of_one_source_are_fetched_by_two_jobs(render: Render) -> None:
    fast = "models.fast.family=2b,models.fast.source=zai-org/CogVideoX-2b"
    jobs = render(FETCH, f"--set={fast},weights.fetch.models={{fast,CogVideoX-2b}}").of_kind("Job")
    assert len({job["metadata"]["name"] for job in jobs}) == 2


def policy(rendered: Rendered, part: str) -> Manifest:
    spec: Manifest = rendered.one("NetworkPolicy", f"videojob-{part}")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    return spec


def ports(rules: list[Manifest]) -> set[object]:
    return {port["port"] for rule in rules for port in rule["ports"]}


def test_each_part_calls_only_what_it_needs(monitoring: Rendered) -> None:
    assert policy(monitoring, "renderer")["ingress"] == []
    assert ports(policy(monitoring, "renderer")["egress"]) == {53, 6443, 8000, 9000}
    assert ports(policy(monitoring, "api")["egress"]) == {53, 6443, 9000}
    assert ports(policy(monitoring, "operator")["egress"]) == {53, 6443, 443}


def test_renderers_reach_the_hub_and_s3_by_its_own_port(node_cache: Rendered) -> None:
    spec = node_cache.one("NetworkPolicy", "videojob-renderer", "team-b")["spec"]
    (port,) = node_cache.pod_spec("videojob-api")["containers"][0]["ports"]
    assert ports(spec["egress"]) == {53, 443, 6443, 8333, port["containerPort"]}


def test_pods_that_fetch_weights_reach_the_hub_and_s3_and_nothing_of_the_cluster(render: Render) -> None:
    enabled = ("--set=networkPolicies.enabled=true,storage.endpoint=http://minio:9000", FETCH)
    rendered = render(*enabled)
    spec = policy(rendered, "weights")
    (job,) = rendered.of_kind("Job")
    assert spec["podSelector"]["matchLabels"] == job["spec"]["template"]["metadata"]["labels"]
    assert spec["ingress"] == []
    assert ports(spec["egress"]) == {53, 443, 9000}
    alone = render(*enabled, "--set=networkPolicies.hub.enabled=false")
    assert ports(policy(alone, "weights")["egress"]) == {53, 9000}


def test_each_part_may_be_let_out_further(render: Render) -> None:
    for part, policies in (("api", ("api",)), ("operator", ("operator",)), ("renderer", ("renderer", "weights"))):
        further = f"networkPolicies.{part}Egress[0].ports[0].port"
        rendered = render("--set=networkPolicies.enabled=true", FETCH, f"--set={further}=3128")
        names = {p["metadata"]["name"] for p in rendered.of_kind("NetworkPolicy") if 3128 in ports(p["spec"]["egress"])}
        assert names == {f"videojob-{name}" for name in policies}


def test_names_are_resolved_by_pods_and_by_the_cache_of_the_node(render: Render) -> None:
    rendered = render(networkPolicies__enabled="true", networkPolicies__dns__cidrs="{169.254.20.10/32,fd00::a/128}")
    for part in ("operator", "api", "renderer"):
        (rule,) = [
            each for each in policy(rendered, part)["egress"] if {"protocol": "UDP", "port": 53} in each["ports"]
        ]
        (pods, *caches) = rule["to"]
        assert pods["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}
        assert [cache["ipBlock"]["cidr"] for cache in caches] == ["169.254.20.10/32", "fd00::a/128"]


def test_no_rule_lets_out_to_everywhere_by_naming_nobody(monitoring: Rendered, render: Render) -> None:
    fetching = render("--set=networkPolicies.enabled=true", FETCH)
    for each in (*monitoring.of_kind("NetworkPolicy"), *fetching.of_kind("NetworkPolicy")):
        for rule in each["spec"]["egress"]:
            assert rule.get("to") or rule == {"ports": [{"protocol": "TCP", "port": 443}]}, "webhooks may go anywhere"


def test_an_endpoint_without_a_port_has_that_of_its_scheme(render: Render) -> None:
    for endpoint, port in (("", 443), ("https://s3.example.com", 443), ("http://s3.example.com", 80)):
        rendered = render(
            networkPolicies__enabled="true", networkPolicies__hub__enabled="false", storage__endpoint=endpoint
        )
        assert port in ports(policy(rendered, "renderer")["egress"])


def test_pods_of_s3_with_another_port_than_their_service_are_reached(render: Render) -> None:
    own = "--set=networkPolicies.storage.podSelector.matchLabels.app=minio,networkPolicies.storage.ports={9000,9443}"
    rendered = render("--set=networkPolicies.enabled=true,storage.endpoint=http://minio.storage.svc", own, FETCH)
    for part in ("api", "renderer", "weights"):
        (rule,) = [
            each for each in policy(rendered, part)["egress"] if {"protocol": "TCP", "port": 9000} in each["ports"]
        ]
        assert [port["port"] for port in rule["ports"]] == [9000, 9443], part
        assert 80 not in ports(policy(rendered, part)["egress"])


def test_what_is_open_to_everywhere_is_so_by_ipv6_as_well(render: Render) -> None:
    rendered = render("--set=networkPolicies.enabled=true", FETCH)
    rules = [rule for each in rendered.of_kind("NetworkPolicy") for rule in each["spec"]["egress"]]
    networks = [{to.get("ipBlock", {}).get("cidr") for to in rule.get("to", [])} for rule in rules]
    open_to_all = [each for each in networks if "0.0.0.0/0" in each]
    assert len(open_to_all) == 8  # API server, S3 and hub
    assert all("::/0" in each for each in open_to_all)


def test_the_network_policy_selects_the_pods_that_the_operator_makes(monitoring: Rendered, root: Path) -> None:
    selector = policy(monitoring, "renderer")["podSelector"]["matchLabels"]
    (golden, *_) = sorted((root / "tests/data/operator").glob("job-*.yaml"))
    job = yaml.safe_load(golden.read_text())
    assert selector.items() <= job["spec"]["template"]["metadata"]["labels"].items()


def test_only_those_named_call_the_api_and_helm_test(monitoring: Rendered) -> None:
    (rule,) = policy(monitoring, "api")["ingress"]
    (test, renderers, gate, prometheus) = rule["from"]
    assert renderers["podSelector"] == policy(monitoring, "renderer")["podSelector"]
    (namespaces,) = renderers["namespaceSelector"]["matchExpressions"]
    assert namespaces == {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["videojob"]}
    assert prometheus["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "monitoring"}
    assert gate["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "ingress-nginx"}
    labels = monitoring.one("Pod", "videojob-test")["metadata"]["labels"]
    assert test["podSelector"]["matchLabels"].items() <= labels.items()


def test_a_renderer_reaches_the_api_that_signs_for_it(monitoring: Rendered, render: Render) -> None:
    (rule,) = [each for each in policy(monitoring, "renderer")["egress"] if each["ports"][0]["port"] == 8000]
    (target,) = rule["to"]
    labels = monitoring.one("Deployment", "videojob-api")["spec"]["template"]["metadata"]["labels"]
    assert target["podSelector"]["matchLabels"].items() <= labels.items()
    assert target["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "videojob"}
    values = f"--values={CI}/monitoring-values.yaml"
    alone = render(values, storage__rendererAccess="secret")
    assert 8000 not in ports(policy(alone, "renderer")["egress"])
    (ingress,) = policy(alone, "api")["ingress"]
    assert len(ingress["from"]) == 3


@pytest.mark.parametrize(
    ("name", "kind", "key"),
    [("monitoring", "ServiceMonitor", "endpoints"), ("node_cache", "PodMonitor", "podMetricsEndpoints")],
)
@pytest.mark.parametrize(
    ("part", "service", "name_of_port"),
    [("operator", "videojob-operator-metrics", "health"), ("api", "videojob-api", "http")],
)
def test_a_monitor_finds_each_part(
    part: str, service: str, name_of_port: str, name: str, kind: str, key: str, request: pytest.FixtureRequest
) -> None:
    rendered: Rendered = request.getfixturevalue(name)
    spec = rendered.one(kind, f"videojob-{part}")["spec"]
    (endpoint,) = spec[key]
    assert (endpoint["port"], endpoint["path"]) == (name_of_port, "/metrics")
    target = rendered.one("Service", service) if kind == "ServiceMonitor" else None
    labels = (target or rendered.one("Deployment", f"videojob-{part}")["spec"]["template"])["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    (port,) = rendered.pod_spec(f"videojob-{part}")["containers"][0]["ports"]
    assert port["name"] == endpoint["port"]


def test_the_dashboard_is_found_by_its_label_and_is_whole(monitoring: Rendered, root: Path) -> None:
    dashboard = monitoring.one("ConfigMap", "videojob-dashboard")
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    content = json.loads(dashboard["data"]["videojob.json"])
    assert content == json.loads((root / "charts/videojob/files/dashboard.json").read_text())
    assert len({panel["id"] for panel in content["panels"]}) == len(content["panels"]) > 8


def test_every_alert_says_what_is_wrong_and_the_page_what_to_do(monitoring: Rendered, root: Path) -> None:
    rules = monitoring.one("PrometheusRule", "videojob")["spec"]["groups"][0]["rules"]
    page = (root / "docs/operate.md").read_text()
    own = [rule for rule in rules if rule["alert"] != "VideoQueueLong"]
    assert len(own) == 6
    for rule in own:
        assert rule["annotations"]["summary"]
        assert f"`{rule['alert']}`" in page
        assert rule["expr"].count("(") == rule["expr"].count(")")


@pytest.mark.parametrize("name", ["VideoJobOperatorErrors", "VideoJobSettingsRefused"])
def test_an_alert_that_names_the_log_asks_all_pods_of_the_operator_and_no_others(
    monitoring: Rendered, root: Path, name: str
) -> None:
    """`kubectl logs deployment/…` takes one pod, which may be the standby."""
    (command,) = re.findall(r"kubectl .+", alert(monitoring, name)["annotations"]["description"])
    (namespace, selector) = re.fullmatch(r"kubectl -n (\S+) logs -l (\S+) --prefix --tail=-1", command).groups()  # type: ignore[union-attr]
    asked = dict(pair.split("=") for pair in selector.split(","))
    deployments = monitoring.of_kind("Deployment")
    chosen = [d for d in deployments if asked.items() <= d["spec"]["template"]["metadata"]["labels"].items()]
    assert [(d["metadata"]["name"], d["metadata"]["namespace"]) for d in chosen] == [("videojob-operator", namespace)]
    for page in ("README.md", "docs/operate.md"):
        assert command in (root / page).read_text()


def alert(rendered: Rendered, name: str) -> Manifest:
    rules = rendered.one("PrometheusRule", "videojob")["spec"]["groups"][0]["rules"]
    (rule,) = [each for each in rules if each["alert"] == name]
    return rule


def test_an_alert_fires_as_well_where_nothing_was_ever_counted(monitoring: Rendered) -> None:
    """The sum of no series is nothing at all, and nothing equals no number."""
    rule = alert(monitoring, "VideoJobsNotCompleting")
    assert re.search(r"\(sum\(increase\(.+\[15m\]\)\) or vector\(0\)\) == 0$", rule["expr"])
    assert rule["for"] == "2h", "as long as the value says, and not as long again"


def test_the_first_failure_of_its_kind_is_not_missing_from_the_ratio(monitoring: Rendered) -> None:
    """A series that is born at 1 has no increase."""
    above, below = alert(monitoring, "VideoJobsFailing")["expr"].split("\n  / ")
    for side in (above, below):
        assert re.search(r"\+ \(count\((.+) unless \1 offset 1h\) or vector\(0\)\)\)", side)
    assert "reason!~" in above
    assert "reason!~" not in below


def test_alerts_and_dashboard_ask_for_metrics_that_operator_and_api_have(
    monitoring: Rendered, root: Path, tmp_path: Path
) -> None:
    for name, content in monitoring.one("ConfigMap", "videojob-config")["data"].items():
        (tmp_path / name).write_text(content)
    told = monitoring.environment("videojob-operator")
    env = {name: value.replace("/etc/videojob/", f"{tmp_path}/") for name, value in told.items()}
    metrics = Metrics(lambda: ["Pending"], lambda: 0, lambda: 0, LiveSettings(read_settings(env), env))
    text = (metrics.render() + ApiMetrics().render()).decode()
    kinds = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", text))
    known = {f"{name}_bucket" if kind == "histogram" else name for name, kind in kinds.items()}
    rules = monitoring.one("PrometheusRule", "videojob")["spec"]["groups"][0]["rules"]
    panels = json.loads((root / "charts/videojob/files/dashboard.json").read_text())["panels"]
    asked = [rule["expr"] for rule in rules] + [each["expr"] for panel in panels for each in panel["targets"]]
    for expression in asked:
        names = set(re.findall(r"\bvideojob_[a-z_]+", expression))
        assert names, expression
        assert names <= known, expression


def test_the_reasons_that_wake_nobody_are_words_of_the_catalogue(root: Path) -> None:
    values = yaml.safe_load((root / "charts/videojob/values.yaml").read_text())
    assert set(values["monitoring"]["prometheusRule"]["callerReasons"]) <= {reason.value for reason in Reason}
