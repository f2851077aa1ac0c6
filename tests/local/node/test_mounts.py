"""Environment and volumes of a Pod, by every kind of source, as the process sees them."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.local.node.rig import Studio, state

pytestmark = pytest.mark.cluster

TREE = """
import json, os, sys
root = sys.argv[1]
files = {}
for folder, _, names in os.walk(root):
    for name in names:
        path = os.path.join(folder, name)
        files[os.path.relpath(path, root)] = open(path, encoding="latin-1").read()
print(json.dumps(files))
"""


def environment_of(studio: Studio, **container: Any) -> dict[str, str]:
    script = "import json, os; print(json.dumps(dict(os.environ)))"
    spec = studio.pod_spec("", image="test-python", args=["-c", script], **container)
    pod = studio.pod("prints-env", spec, labels={"app": "cat"})
    assert studio.ended(pod)["status"]["phase"] == "Succeeded", studio.output(pod)
    found: dict[str, str] = json.loads(studio.output(pod))
    return found


def files_in(studio: Studio, volume: dict[str, Any], **mount: Any) -> dict[str, str]:
    mounts = [{"name": "volume", "mountPath": "/mounted/here", **mount}]
    spec = studio.pod_spec("", image="test-python", args=["-c", TREE, "/mounted/here"], volumeMounts=mounts)
    pod = studio.pod("prints-tree", {**spec, "volumes": [{"name": "volume", **volume}]}, labels={"app": "cat"})
    assert studio.ended(pod)["status"]["phase"] == "Succeeded", studio.output(pod)
    found: dict[str, str] = json.loads(studio.output(pod))
    return found


def test_variables_come_from_every_kind_of_source(studio: Studio) -> None:
    studio.make("configmaps", "settings", data={"MODE": "fast"}, binaryData={"BLOB": "AAE="})
    studio.make("secrets", "keys", stringData={"KEY": "s3cret"})
    env = [
        {"name": "PLAIN", "value": "$(MODE)-$$(MODE)"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
        {"name": "ONE_KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "KEY"}}},
        {"name": "ONE_SETTING", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "MODE"}}},
        {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "K", "optional": True}}},
    ]
    sources = [{"configMapRef": {"name": "settings"}}, {"prefix": "S_", "secretRef": {"name": "keys"}}]

    found = environment_of(studio, env=env, envFrom=sources, resources={"limits": {"memory": "1Gi"}})

    expected = {
        "MODE": "fast",
        "S_KEY": "s3cret",
        "PLAIN": "fast-$(MODE)",
        "POD": "prints-env",
        "LABEL": "cat",
        "IP": "127.0.0.1",
        "MEMORY": "1024",
        "ONE_KEY": "s3cret",
        "ONE_SETTING": "fast",
    }
    assert found.items() >= expected.items()
    assert not {"NONE", "BLOB"} & found.keys()


def test_a_pod_inherits_nothing_it_was_not_meant_to(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    found = environment_of(studio)
    assert not {"PYTEST_CURRENT_TEST", "PYTEST_VERSION", "USER", "VIRTUAL_ENV"} & found.keys()
    assert found["CUDA_VISIBLE_DEVICES"] == ""


def test_mount_paths_in_variables_and_arguments_lead_to_the_volume(studio: Studio) -> None:
    script = 'echo $(FOLDER)/video > /videos/list; cat "$LIST"'
    env = [{"name": "FOLDER", "value": "s3://bucket/videos"}, {"name": "LIST", "value": "/videos/list"}]
    spec = studio.pod_spec(script, env=env, volumeMounts=[{"name": "v", "mountPath": "/videos"}])
    pod = studio.pod("writes", {**spec, "volumes": [{"name": "v", "emptyDir": {}}]})
    studio.ended(pod)
    assert studio.output(pod) == "s3://bucket/videos/video\n"


def test_a_real_path_is_not_rewritten_again(studio: Studio) -> None:
    """The folders of these Pods lie below /tmp themselves, where tests usually run."""
    folder = str(studio.node.folder)
    env = [{"name": "TMPDIR", "value": folder}, {"name": "OUT", "value": "$(TMPDIR)/out"}]
    spec = studio.pod_spec("echo $(OUT)", env=env, volumeMounts=[{"name": "v", "mountPath": folder}])
    pod = studio.pod("nested", {**spec, "volumes": [{"name": "v", "emptyDir": {}}]})
    uid = studio.ended(pod)["metadata"]["uid"]
    assert studio.output(pod) == f"{folder}/state/pods/{uid}/volumes/v/out\n"


def test_a_config_map_volume(studio: Studio) -> None:
    studio.make("configmaps", "settings", data={"a.json": "{}", "b": "two"}, binaryData={"blob": "AAE="})
    assert files_in(studio, {"configMap": {"name": "settings"}}) == {"a.json": "{}", "b": "two", "blob": "\0\1"}


def test_chosen_keys_at_chosen_paths(studio: Studio) -> None:
    studio.make("configmaps", "settings", data={"a": "one", "b": "two"})
    volume = {"configMap": {"name": "settings", "items": [{"key": "a", "path": "deep/er"}]}}
    assert files_in(studio, volume) == {"deep/er": "one"}


def test_a_secret_volume(studio: Studio) -> None:
    studio.make("secrets", "keys", stringData={"KEY": "s3cret"})
    assert files_in(studio, {"secret": {"secretName": "keys", "defaultMode": 0o400}}) == {"KEY": "s3cret"}


def test_an_optional_volume_may_be_empty(studio: Studio) -> None:
    assert files_in(studio, {"secret": {"secretName": "none", "optional": True}}) == {}


def test_a_downward_api_volume(studio: Studio) -> None:
    items = [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "cpus", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu"}},
    ]
    assert files_in(studio, {"downwardAPI": {"items": items}}) == {"labels": 'app="cat"', "cpus": "8"}


def test_a_projected_volume_joins_its_sources(studio: Studio) -> None:
    studio.make("configmaps", "settings", data={"a": "one"})
    sources = [
        {"configMap": {"name": "settings"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        {"serviceAccountToken": {"path": "token", "audience": "somebody"}},
    ]
    found = files_in(studio, {"projected": {"sources": sources}})
    assert found.keys() == {"a", "ca.crt", "namespace", "token"}
    assert found["namespace"] == studio.namespace
    assert found["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")
    assert found["token"].count(".") == 2


def test_a_folder_of_the_machine_and_a_part_of_it(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    (tmp_path / "models" / "tiny" / "weights").write_text("w")
    host = {"hostPath": {"path": str(tmp_path), "type": "Directory"}}
    assert files_in(studio, host, subPath="models") == {"tiny/weights": "w"}


def test_a_folder_of_the_machine_is_made_where_that_is_asked_for(studio: Studio, tmp_path: Path) -> None:
    host = {"hostPath": {"path": str(tmp_path / "new" / "one"), "type": "DirectoryOrCreate"}}
    assert files_in(studio, host) == {}
    assert (tmp_path / "new" / "one").is_dir()


def test_a_folder_that_must_be_there_makes_the_pod_wait(studio: Studio, tmp_path: Path) -> None:
    spec = studio.pod_spec("true", volumeMounts=[{"name": "v", "mountPath": "/v"}])
    host = {"path": str(tmp_path / "late"), "type": "Directory"}
    pod = studio.pod("waits", {**spec, "volumes": [{"name": "v", "hostPath": host}]})
    waiting = studio.kube.wait(pod, lambda found: "message" in state(found).get("waiting", {}))
    assert "is not a directory" in state(waiting)["waiting"]["message"]
    (tmp_path / "late").mkdir()
    assert studio.ended(pod)["status"]["phase"] == "Succeeded"
