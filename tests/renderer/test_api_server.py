"""What the renderer writes is taken by the real API server, under the rights that the chart gives it, and no more."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cluster import Cluster
from renderer_process import environment

from videojob.resolve import ResolvedRequest
from videojob.status import Artifact, Artifacts
from videojob_renderer.environment import read_settings
from videojob_renderer.errors import StatusUnavailable
from videojob_renderer.kubernetes import StatusClient
from videojob_renderer.report import Reporter
from videojob_renderer.status import StatusWriter

pytestmark = pytest.mark.cluster

Connect = Callable[..., StatusClient]

RULES = [{"apiGroups": ["videojob.dev"], "resources": ["videojobs/status"], "verbs": ["patch"]}]
"""Those of charts/videojob/templates/renderer/rbac.yaml."""


@pytest.fixture
def environ(cluster: Cluster, make_request: Callable[..., ResolvedRequest], tmp_path: Path) -> dict[str, str]:
    """The environment of a pod of the VideoJob `squirrel`, with a token that has the renderer's rights."""
    account = {"kind": "ServiceAccount", "name": "renderer", "namespace": cluster.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "renderer"}
    rbac = "apis/rbac.authorization.k8s.io/v1"
    for path, body in (
        (cluster.url(plural="serviceaccounts", group="api/v1"), {}),
        (cluster.url(plural="roles", group=rbac), {"rules": RULES}),
        (cluster.url(plural="rolebindings", group=rbac), {"subjects": [account], "roleRef": role}),
    ):
        cluster.http.post(path, json={"metadata": {"name": "renderer"}, **body}).raise_for_status()
    token = cluster.http.post(cluster.url("renderer", "serviceaccounts", "api/v1") + "/token", json={"spec": {}})
    folder = tmp_path / "token"
    folder.mkdir()
    (folder / "token").write_text(token.json()["status"]["token"])
    (folder / "ca.crt").write_bytes(cluster.stack.control_plane.ca.read_bytes())
    port = int(cluster.stack.control_plane.server.rsplit(":", 1)[1])
    uid = cluster.create("squirrel")["metadata"]["uid"]
    own = {"VIDEOJOB_NAMESPACE": cluster.namespace, "VIDEOJOB_UID": uid}
    return environment(make_request(), api_port=port, token_dir=folder, storage={}) | own


@pytest.fixture
def connect(environ: dict[str, str]) -> Iterator[Connect]:
    """Connect as the renderer; the environment can be changed."""
    clients = []

    def connect(**changes: str) -> StatusClient:
        clients.append(StatusClient(read_settings(environ | changes)))
        return clients[-1]

    yield connect
    for client in clients:
        client._http.close()


def test_progress_and_result_are_taken(cluster: Cluster, connect: Connect, environ: dict[str, str]) -> None:
    reporter = Reporter(read_settings(environ), StatusWriter(connect().patch))
    reporter.enter(reporter.stage)
    reporter.drew_seed(2**32 - 1)
    video = Artifact(uri="s3://videos/x/video.mp4", bytes=5, sha256="a" * 64, content_type="video/mp4", frames=9)
    reporter.commit(Artifacts(video=video), patience_seconds=30)
    status = (cluster.get("squirrel") or {})["status"]
    assert status["artifacts"] == {"video": video.dump()}
    assert status["progress"]["percent"] == 100
    assert status["resolved"] == {"seed": 2**32 - 1}
    assert "gpu" not in status["renderer"], "null takes the field away"


def test_what_an_earlier_attempt_told_does_not_stay(
    cluster: Cluster, connect: Connect, environ: dict[str, str]
) -> None:
    cluster.patch(
        "squirrel",
        {"status": {"renderer": {"gpu": "NVIDIA H100", "resumedFromStep": 12}}},
        subresource="/status",
    )
    reporter = Reporter(read_settings(environ), StatusWriter(connect().patch))
    reporter.abandon(patience_seconds=30)
    renderer = (cluster.get("squirrel") or {})["status"]["renderer"]
    assert not {"gpu", "resumedFromStep"} & set(renderer)


def test_a_pod_of_a_deleted_videojob_learns_that_it_writes_into_its_namesake(connect: Connect) -> None:
    client = connect(VIDEOJOB_UID="4b5e1a70-0000-4000-8000-000000000001")
    with pytest.raises(StatusUnavailable, match="another one has its name"):
        client.patch({})


def test_the_token_is_good_for_nothing_else(cluster: Cluster, environ: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {Path(environ['VIDEOJOB_TOKEN_DIR'], 'token').read_text()}"}
    tls = ssl.create_default_context(cafile=Path(environ["VIDEOJOB_TOKEN_DIR"], "ca.crt"))
    with httpx.Client(base_url=cluster.stack.control_plane.server, verify=tls, headers=headers) as http:
        assert http.get(cluster.url("squirrel")).status_code == 403
        assert http.get(cluster.url(plural="secrets", group="api/v1")).status_code == 403


def test_a_deleted_videojob_is_told_as_gone(cluster: Cluster, connect: Connect) -> None:
    cluster.delete("squirrel")
    with pytest.raises(StatusUnavailable, match="404"):
        connect().patch({"resolved": {"seed": 13}})
