"""Who may do what: each row of the table in docs/security.md, tried with real credentials on the real API server.

Tokens of renderers are bound to real pods, which the real operator's Jobs made, and are minted by the node that runs
them.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cluster import Cluster, Kubectl, Manifest
from tests.chart.policy_cases import CASES, Case, Verdict, table
from tests.chart.policy_world import Namespaces, World, world

from videojob_local.stack import Stack

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

REFUSED = {Verdict.ROLE: {403}, Verdict.POLICY: {403, 422}, Verdict.NODE: {403}, Verdict.TOKEN: {401}}
BY_POLICY = "ValidatingAdmissionPolicy"


@pytest.fixture(scope="module")
def scene(stack: Stack, kubernetes_http: httpx.Client, kubectl: Kubectl) -> Iterator[World]:
    namespaces = Namespaces("policy-home", "policy-second", "policy-unserved")
    for name in (namespaces.home, namespaces.second, namespaces.unserved):
        kubernetes_http.post("/api/v1/namespaces", json={"metadata": {"name": name}}).raise_for_status()
    cluster = Cluster(stack, kubernetes_http, kubectl, namespaces.home)
    bystander = {"metadata": {"name": "bystander"}, "spec": {"suspend": True, "template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "test/sleep:1"}]}}}}  # fmt: skip
    kubernetes_http.post(cluster.url(plural="jobs", group="apis/batch/v1"), json=bystander).raise_for_status()
    try:
        with world(cluster, namespaces) as made:
            yield made
    finally:
        cluster.close()
        for name in (namespaces.home, namespaces.second, namespaces.unserved):
            kubernetes_http.delete(f"/api/v1/namespaces/{name}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.who}: {case.what}")
def test_each_row_of_the_table_of_rights(scene: World, case: Case) -> None:
    answer = case.act(scene)
    if case.verdict in REFUSED:
        assert answer.status_code in REFUSED[case.verdict], answer.text
        assert case.says in answer.text
        assert (BY_POLICY in answer.text) == (case.verdict is Verdict.POLICY), answer.text
    else:
        assert answer.status_code in {200, 201}, answer.text
    if case.verdict is Verdict.IGNORED:
        before, after = scene.cluster.get("one") or {}, answer.json()
        assert after["spec"] == before["spec"]
        assert all(after["metadata"].get(key) == before["metadata"].get(key) for key in ("labels", "finalizers"))


def test_a_refusal_that_no_other_try_will_change_is_told_apart(scene: World) -> None:
    """The renderer ends at once on 422 and tries on after 403, which a Role not seen yet may cause."""
    for case in CASES:
        if case.who in {"renderer of again", "renderer of ended"} and "write" in case.what:
            assert case.act(scene).status_code == 422, case.what


def test_the_api_server_finds_no_fault_in_the_policies(scene: World, kubectl: Kubectl) -> None:
    listed = kubectl.run("get", "validatingadmissionpolicies", "--output=json")
    own: list[Manifest] = [
        policy for policy in json.loads(listed)["items"] if f".{scene.namespaces.home}." in policy["metadata"]["name"]
    ]
    assert len(own) == 3
    for policy in own:
        warnings = policy.get("status", {}).get("typeChecking", {}).get("expressionWarnings", [])
        assert not warnings, policy["metadata"]["name"]


def test_the_page_shows_the_table_that_is_tried(root: Path) -> None:
    assert table() in (root / "docs/security.md").read_text(), "write tests/chart/policy_cases.py's table() into it"


def test_no_row_stands_twice() -> None:
    assert len({(case.who, case.what) for case in CASES}) == len(CASES) >= 30
