"""Who a Pod is to the API server: a token bound to it, and renewed while it lives."""

import json

import pytest
from tests.local.node.rig import DEADLINE_SECONDS, Studio

pytestmark = pytest.mark.cluster


def test_a_pod_reaches_the_api_server_as_its_service_account(studio: Studio) -> None:
    kubectl = studio.kube.stack.binaries["kubectl"]
    pod = studio.pod("asks", studio.pod_spec(f"{kubectl} auth whoami --output=json"))
    studio.ended(pod)

    user = json.loads(studio.output(pod))["status"]["userInfo"]

    assert user["username"] == f"system:serviceaccount:{studio.namespace}:default"
    assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["asks"]
    assert user["extra"]["authentication.kubernetes.io/pod-uid"] == [studio.kube.get(pod)["metadata"]["uid"]]
    assert user["extra"]["authentication.kubernetes.io/node-name"] == [studio.node.name]


def test_a_token_is_renewed_in_place_while_the_pod_runs(studio: Studio) -> None:
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    script = f'old=$(cat {folder}/token); while [ "$old" = "$(cat {folder}/token)" ]; do sleep 0.05; done; echo new'
    pod = studio.ended(studio.pod("waits", {**studio.pod_spec(script), "activeDeadlineSeconds": DEADLINE_SECONDS}))
    assert pod["status"]["phase"] == "Succeeded"


def test_no_token_where_none_is_wanted(studio: Studio) -> None:
    spec = {**studio.pod_spec("echo ${KUBECONFIG:-none}"), "automountServiceAccountToken": False}
    pod = studio.pod("anonymous", spec)
    studio.ended(pod)
    assert studio.output(pod) == "none\n"


def test_files_of_a_pod_are_its_users_alone(studio: Studio) -> None:
    studio.ended(studio.pod("private", studio.pod_spec("true")))
    assert (studio.node.folder / "state" / "pods").stat().st_mode & 0o077 == 0
