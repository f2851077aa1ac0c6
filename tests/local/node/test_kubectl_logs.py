"""`kubectl logs` of Pods on the process node."""

import ssl
from pathlib import Path

import httpx
import pytest
from tests.local.node.rig import Studio

pytestmark = pytest.mark.cluster


def logs(studio: Studio, *arguments: str) -> str:
    done = studio.kube.kubectl("logs", f"--namespace={studio.namespace}", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_running_pod_is_followed_live_to_its_end(studio: Studio, tmp_path: Path) -> None:
    script = f"echo first; until [ -e {tmp_path}/go ]; do sleep 0.02; done; echo last"
    studio.running(studio.pod("talks", studio.pod_spec(script)))

    with studio.kube.kubectl_process("logs", "--follow", f"--namespace={studio.namespace}", "talks") as following:
        assert following.stdout
        assert following.stdout.readline() == "first\n"
        (tmp_path / "go").touch()
        assert following.stdout.read() == "last\n"


def test_only_the_last_lines_where_that_is_asked_for(studio: Studio) -> None:
    studio.ended(studio.pod("counts", studio.pod_spec("seq 1 1000")))
    assert logs(studio, "counts", "--tail=3") == "998\n999\n1000\n"
    assert logs(studio, "counts", "--limit-bytes=4") == "1\n2\n"
    assert len(logs(studio, "counts").splitlines()) == 1000


def test_the_log_of_the_start_before_is_kept(studio: Studio) -> None:
    spec = studio.pod_spec("echo start $(ls /work | wc -l); touch /work/$$$$; test $(ls /work | wc -l) = 2")
    spec["containers"][0]["volumeMounts"] = [{"name": "work", "mountPath": "/work"}]
    spec |= {"restartPolicy": "OnFailure", "volumes": [{"name": "work", "emptyDir": {}}]}
    studio.ended(studio.pod("stumbles", spec))
    assert logs(studio, "stumbles", "--previous") == "start 0\n"
    assert logs(studio, "stumbles") == "start 1\n"


def test_what_the_node_cannot_tell_is_refused(studio: Studio) -> None:
    studio.ended(studio.pod("talks", studio.pod_spec("echo a")))
    refused = studio.kube.kubectl("logs", f"--namespace={studio.namespace}", "talks", "--timestamps")
    assert refused.returncode != 0
    assert "carry no times" in refused.stderr


def test_nobody_but_the_api_server_reads_logs(studio: Studio) -> None:
    studio.ended(studio.pod("talks", studio.pod_spec("echo a")))
    url = f"https://127.0.0.1:{studio.node.port}/containerLogs/{studio.namespace}/talks/main"

    nobody = ssl.create_default_context(cafile=studio.kube.stack.control_plane.ca)
    with httpx.Client(verify=nobody, trust_env=False) as client, pytest.raises(httpx.HTTPError):
        client.get(url)

    with httpx.Client(verify=studio.kube.administrators_tls(), trust_env=False) as client:
        assert client.get(url).status_code == 403
