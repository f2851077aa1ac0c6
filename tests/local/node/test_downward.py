from typing import Any

import pytest

from videojob_local.node.downward import field_value, resource_value

POD: dict[str, Any] = {
    "metadata": {
        "name": "cat-x1",
        "namespace": "studio",
        "uid": "u-1",
        "labels": {"app.kubernetes.io/name": "cat", "tier": 'a "b"'},
        "annotations": {},
    },
    "spec": {
        "nodeName": "local",
        "serviceAccountName": "renderer",
        "containers": [
            {"name": "main", "resources": {"limits": {"memory": "1500Mi", "cpu": "1500m"}, "requests": {"cpu": "250m"}}}
        ],
    },
}
CAPACITY = {"cpu": "8", "memory": "16Gi"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "cat-x1"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app.kubernetes.io/name']", "cat"),
        ("metadata.labels['none']", ""),
        ("metadata.labels", 'app.kubernetes.io/name="cat"\ntier="a \\"b\\""'),
        ("metadata.annotations", ""),
        ("spec.nodeName", "local"),
        ("spec.serviceAccountName", "renderer"),
        ("status.podIP", "127.0.0.1"),
        ("status.hostIP", "127.0.0.1"),
    ],
)
def test_fields_of_the_pod(path: str, value: str) -> None:
    assert field_value(POD, path, "127.0.0.1") == value


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"resource": "limits.cpu"}, "2"),
        ({"resource": "limits.cpu", "divisor": "1m"}, "1500"),
        ({"resource": "limits.memory", "divisor": "1Gi"}, "2"),
        ({"resource": "requests.cpu", "divisor": "1m"}, "250"),
        ({"resource": "requests.memory"}, "0"),
    ],
)
def test_resources_are_rounded_up(reference: dict[str, str], value: str) -> None:
    assert resource_value(POD, reference, "main", CAPACITY) == value


def test_a_limit_that_is_not_set_is_the_whole_node() -> None:
    pod = {**POD, "spec": {"containers": [{"name": "main"}]}}
    assert resource_value(pod, {"resource": "limits.cpu", "containerName": "main"}, None, CAPACITY) == "8"
