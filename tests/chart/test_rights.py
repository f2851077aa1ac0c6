"""Each identity may do what it does, and nothing more.

The Roles are written out here in full: a new right shows up as a failing test.
"""

from typing import Any

import pytest
from tests.chart.rendering import Render, Rendered

Rules = set[tuple[str, str, str]]

RIGHTS: dict[str, Rules] = {
    "videojob-operator": {
        *(("videojob.dev", "videojobs", verb) for verb in ("get", "list", "watch", "delete")),
        ("videojob.dev", "videojobs/status", "patch"),
        ("videojob.dev", "videojobs/finalizers", "update"),
        *(("batch", "jobs", verb) for verb in ("get", "list", "watch", "create", "patch", "delete")),
        *(("", "pods", verb) for verb in ("list", "watch")),
        ("", "events", "create"),
        ("", "events", "list"),
        ("kueue.x-k8s.io", "workloads", "list"),
    },
    "videojob-api": {
        *(("videojob.dev", "videojobs", verb) for verb in ("get", "list", "watch", "create", "patch", "delete")),
        ("", "pods", "get"),
    },
    "videojob-renderer": {("videojob.dev", "videojobs/status", "patch")},
}


LEASE_ROLE = "videojob-operator-lease"


def rights(role: dict[str, Any]) -> Rules:
    assert all(set(rule) == {"apiGroups", "resources", "verbs"} for rule in role["rules"])
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize("name", RIGHTS)
def test_each_role_holds_exactly_these_rights(default: Rendered, name: str) -> None:
    assert rights(default.one("Role", name)) == RIGHTS[name]


def test_there_are_no_other_roles_and_for_the_whole_cluster_only_that_to_ask_who_calls(
    default: Rendered, full: Rendered
) -> None:
    reviews = {"videojob-videojob-api-reviews"}
    for rendered in (default, full):
        assert {role["metadata"]["name"] for role in rendered.of_kind("Role")} == {*RIGHTS, LEASE_ROLE}
        assert {binding["metadata"]["name"] for binding in rendered.of_kind("ClusterRoleBinding")} == reviews
        for role in rendered.of_kind("ClusterRole"):
            assert role["metadata"]["name"] in reviews or any(
                label.startswith("rbac.authorization.k8s.io/aggregate-to-") for label in role["metadata"]["labels"]
            )


def test_the_common_roles_of_kubernetes_include_videojobs(default: Rendered, render: Render) -> None:
    granted = {}
    for role in default.of_kind("ClusterRole"):
        if role["metadata"]["name"].endswith("-api-reviews"):
            continue
        (target,) = [key for key in role["metadata"]["labels"] if key.startswith("rbac.authorization.k8s.io/")]
        assert role["metadata"]["labels"][target] == "true"
        granted[target.rpartition("-")[2]] = rights(role)
    assert granted == {
        "view": {
            *(("videojob.dev", "videojobs", verb) for verb in ("get", "list", "watch")),
            ("videojob.dev", "videojobs/status", "get"),
        },
        "edit": {("videojob.dev", "videojobs", verb) for verb in ("create", "update", "patch", "delete")},
        "admin": {("videojob.dev", "videojobs", "deletecollection")},
    }
    left = render(crds__aggregateRoles="false").of_kind("ClusterRole")
    assert [role["metadata"]["name"] for role in left] == ["videojob-videojob-api-reviews"]
    nobody = {"api__auth__mode": "none", "api__auth__allowAnyone": "true", "storage__rendererAccess": "secret"}
    left = render(crds__enabled="false", **nobody).of_kind("ClusterRole")
    assert not left, "they go with the definition, once a cluster"


def test_where_renderers_have_keys_the_api_reads_no_pods_and_reviews_only_callers(render: Render) -> None:
    name, keys = "videojob-videojob-api-reviews", "storage.rendererAccess=secret"
    reviews = {("authentication.k8s.io", "tokenreviews", "create")}
    rights_of_callers = {("authorization.k8s.io", "subjectaccessreviews", "create")}
    assert rights(render(f"--set={keys}").one("ClusterRole", name)) == reviews | rights_of_callers
    by_keys = "--set=api.auth.mode=keys,api.auth.keysSecret=video-keys"
    assert rights(render(by_keys).one("ClusterRole", name)) == reviews
    without = render(by_keys, f"--set={keys}")
    assert name not in {role["metadata"]["name"] for role in without.of_kind("ClusterRole")}
    assert ("", "pods", "get") not in rights(without.one("Role", "videojob-api"))


def test_nodes_are_read_and_pods_declared_failed_only_where_the_administrator_wants_it(render: Render) -> None:
    rendered = render(operator__readNodes="true", operator__failLostPods="true")
    name = "videojob-videojob-operator-nodes"
    role, binding = rendered.one("ClusterRole", name), rendered.one("ClusterRoleBinding", name)
    assert rights(role) == {("", "nodes", "list")}
    assert binding["roleRef"]["name"] == name
    assert [subject["name"] for subject in binding["subjects"]] == ["videojob-operator"]
    operator = rights(rendered.one("Role", "videojob-operator"))
    assert operator - RIGHTS["videojob-operator"] == {("", "pods/status", "patch")}
    assert rendered.environment("videojob-operator")["VIDEOJOB_FAIL_LOST_PODS"] == "true"


CLUSTER_KINDS = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "PriorityClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
EVERYTHING = (
    "--values=charts/videojob/ci/gateway-values.yaml",
    "--set=operator.readNodes=true,clusterObjects.installerRole=true,monitoring.prometheusRule.enabled=true",
)


def key(manifest: dict[str, Any]) -> tuple[str, str, str | None]:
    return manifest["kind"], manifest["metadata"]["name"], manifest["metadata"].get("namespace")


def test_an_administrator_makes_what_belongs_to_the_cluster_and_the_release_nothing_of_it(render: Render) -> None:
    everything = {key(each) for each in render(*EVERYTHING).manifests}
    theirs = {key(each) for each in render(*EVERYTHING, "--show-only=templates/cluster/*.yaml").manifests}
    ours = {key(each) for each in render(*EVERYTHING, "--set=clusterObjects.enabled=false").manifests}
    assert {kind for kind, _, _ in theirs} == CLUSTER_KINDS
    assert {namespace for _, _, namespace in theirs} == {None}
    assert {namespace for _, _, namespace in ours} == {"videojob"}
    assert not ours & theirs
    assert ours | theirs == everything


def test_who_installs_the_rest_may_be_given_every_right_that_its_roles_hand_on(render: Render) -> None:
    rendered = render(clusterObjects__installerRole="true", operator__failLostPods="true")
    given = rights(rendered.one("ClusterRole", "videojob.videojob.installer"))
    roles = [role for role in rendered.of_kind("Role") if role["metadata"]["name"] != LEASE_ROLE]
    lease = {("coordination.k8s.io", "leases", verb) for verb in ("get", "create", "update")}
    assert given == set.union(lease, *(rights(role) for role in roles))
    assert not [each for each in rendered.of_kind("ClusterRoleBinding") if "installer" in each["metadata"]["name"]]


def test_each_role_is_bound_to_its_own_service_account_only(default: Rendered, full: Rendered) -> None:
    for rendered in (default, full):
        for binding in rendered.of_kind("RoleBinding"):
            name = binding["metadata"]["name"]
            if name == LEASE_ROLE:
                assert [subject["name"] for subject in binding["subjects"]] == ["videojob-operator"]
                continue
            assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
            (subject,) = binding["subjects"]
            assert subject["name"] == name
            assert rendered.one("ServiceAccount", name, subject["namespace"])


def test_each_part_has_its_role_in_each_served_namespace(full: Rendered) -> None:
    places = {(role["metadata"]["name"], role["metadata"]["namespace"]) for role in full.of_kind("Role")}
    assert places == {
        (LEASE_ROLE, "videojob"),
        ("videojob-operator", "studio"),
        ("videojob-operator", "research"),
        ("videojob-renderer", "studio"),
        ("videojob-renderer", "research"),
        ("videojob-api", "studio"),
        ("videojob-api", "research"),
    }


def test_no_service_account_hands_its_token_to_pods_that_do_not_ask(default: Rendered) -> None:
    assert all(account["automountServiceAccountToken"] is False for account in default.of_kind("ServiceAccount"))
