from typing import Any

import pytest

from videojob_local.node.errors import UnsupportedPod
from videojob_local.node.validation import refuse_unsupported

MAIN: dict[str, Any] = {"name": "main", "image": "x"}


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"containers": [MAIN, {**MAIN, "name": "second"}]}, "one container a Pod"),
        ({"containers": [MAIN], "initContainers": [{**MAIN, "name": "i", "restartPolicy": "Always"}]}, "no sidecars"),
        ({"containers": [{**MAIN, "livenessProbe": {"exec": {"command": ["true"]}}}]}, "livenessProbe"),
        ({"containers": [{**MAIN, "readinessProbe": {"httpGet": {"port": "http"}}}]}, "no port of the name http"),
        ({"containers": [{**MAIN, "lifecycle": {"postStart": {"exec": {}}}}]}, "preStop.sleep only"),
        ({"containers": [{**MAIN, "lifecycle": {"preStop": {"exec": {}}}}]}, "preStop.sleep only"),
        ({"containers": [{**MAIN, "volumeMounts": [{"subPathExpr": "$(A)"}]}]}, "subPathExpr"),
        ({"containers": [MAIN], "volumes": [{"name": "v", "persistentVolumeClaim": {}}]}, "volume v"),
        (
            {"containers": [MAIN], "volumes": [{"name": "v", "projected": {"sources": [{"clusterTrustBundle": {}}]}}]},
            "volume v",
        ),
    ],
)
def test_what_the_node_never_has_is_refused_by_name(spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UnsupportedPod, match=sentence):
        refuse_unsupported(spec)


def test_what_the_chart_uses_is_accepted() -> None:
    probe = {"httpGet": {"path": "/healthz", "port": "http"}}
    main = {
        **MAIN,
        "ports": [{"name": "http", "containerPort": 8000}],
        "livenessProbe": probe,
        "readinessProbe": probe,
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
    }
    kinds = ("emptyDir", "configMap", "secret", "downwardAPI", "hostPath")
    volumes = [{"name": kind.lower(), kind: {}} for kind in kinds]
    refuse_unsupported({"containers": [main], "initContainers": [MAIN], "volumes": volumes})
