"""The API as an application in this process, away from any cluster or on the real one, and its jobs as an operator
and a renderer would leave them."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import yaml
from cluster import Cluster, wait_for
from starlette.types import ASGIApp
from types_boto3_s3 import S3Client

from videojob.catalogue import Catalogue
from videojob.names import artifact_key
from videojob_api.access.keys import new_key
from videojob_api.app import create_app
from videojob_api.settings import Authentication, Settings
from videojob_api.store import JobStore
from videojob_local.ports import free_port
from videojob_local.stack import Stack

Manifest = dict[str, Any]
OpenClient = Callable[[Settings], AbstractAsyncContextManager[httpx.AsyncClient]]

RIGHTS = [
    {
        "apiGroups": ["videojob.dev"],
        "resources": ["videojobs"],
        "verbs": ["get", "list", "watch", "create", "patch", "delete"],
    }
]


@dataclass(frozen=True)
class Server:
    """A running API."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def answers(self) -> bool:
        """Tell whether it serves; fail when it has ended."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.url}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def lines(self) -> list[dict[str, Any]]:
        """Its log, every line of which must be JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """Two models of the first family, one of the second, one that takes an image; the default promises no family."""
    models = {
        "CogVideoX-tiny": {"family": "2b", "source": "/models/tiny"},
        "CogVideoX-2b": {"family": "2b", "source": "zai-org/CogVideoX-2b"},
        "CogVideoX1.5-5B": {"family": "1.5", "source": "zai-org/CogVideoX1.5-5B"},
        "CogVideoX-tiny-I2V": {"family": "5b-i2v", "source": "/models/tiny-i2v"},
    }
    return Catalogue.model_validate({"defaultModel": "CogVideoX-tiny", "models": models})


@pytest.fixture
def dead_settings(catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that name an API server and an S3 server where nobody listens."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return Settings(
        namespace="nowhere",
        catalogue=catalogue,
        bucket="videos",
        s3_endpoint=f"http://127.0.0.1:{free_port()}",
        kubeconfig=str(write_kubeconfig(tmp_path / "dead.yaml", f"https://127.0.0.1:{free_port()}")),
    )


@pytest.fixture
async def away(dead_settings: Settings, open_client: OpenClient) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API that reaches neither Kubernetes nor S3."""
    async with open_client(dead_settings) as client:
        yield client


@pytest.fixture
def open_client() -> OpenClient:
    """Start an API with these settings in this process and give a client of it."""

    @asynccontextmanager
    async def opened(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
        app = create_app(settings)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://api", timeout=30) as client:
                yield client

    return opened


@pytest.fixture
def settings(
    cluster: Cluster,
    stack: Stack,
    catalogue: Catalogue,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    """Settings for the test's own namespace, with the rights of the chart's Role and no more."""
    for name, value in stack.s3.storage.environment().items():
        monkeypatch.setenv(name, value)
    grant(cluster)
    return Settings(
        namespace=cluster.namespace,
        catalogue=catalogue,
        bucket=stack.s3.storage.bucket,
        s3_endpoint=stack.s3.storage.endpoint,
        kubeconfig=str(cluster.service_account_kubeconfig("api", tmp_path / "api.yaml")),
    )


@pytest.fixture
async def api(settings: Settings, open_client: OpenClient, cluster: Cluster) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API on the real cluster and the real S3.

    Before each request it waits until the API has seen what the test did to the cluster behind its back.
    """
    async with open_client(settings) as client:
        jobs = client._transport.app.state.services.jobs  # type: ignore[attr-defined]

        async def catch_up(_request: httpx.Request) -> None:
            await until_seen(jobs, cluster)

        client.event_hooks["request"].append(catch_up)
        yield client


@pytest.fixture
async def live_url(settings: Settings) -> AsyncIterator[str]:
    """URL of an API on a real port, in this process: as real as `server`, and there at once."""
    async with serving(create_app(settings)) as url:
        yield url


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an application on a real port and give its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        # Not `serve`, which takes the signals of this process.
        serving = asyncio.create_task(server._serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


async def until_seen(jobs: JobStore, cluster: Cluster) -> None:
    """Wait until a store knows every VideoJob of the namespace in its newest version."""
    listed = {each["metadata"]["name"]: int(each["metadata"]["resourceVersion"]) for each in cluster.all()}

    def lags() -> bool:
        known = {name: record.version for name in listed if (record := jobs.cache.get(name))}
        return len(jobs.cache) != len(listed) or any(known.get(name, 0) < version for name, version in listed.items())

    async with asyncio.timeout(240):
        while lags():  # noqa: ASYNC110 - the cache has no event for this
            await asyncio.sleep(0.01)


@pytest.fixture
def finish(cluster: Cluster, s3: S3Client, bucket: str) -> Callable[..., str]:
    """End a job as operator and renderer would, with these bytes as its video; returns the key in S3."""

    def finished(job_id: str, content: bytes, thumbnail: bytes | None = None) -> str:
        job = cluster.get(job_id)
        assert job

        def store(name: str, body: bytes, media_type: str) -> tuple[str, Manifest]:
            key = artifact_key("", cluster.namespace, job["metadata"]["uid"], f"{job_id}-abcde", name)
            s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=media_type)
            return key, {"uri": f"s3://{bucket}/{key}", "bytes": len(body)}

        key, video = store("video.mp4", content, "video/mp4")
        artifacts = {"video": video}
        if thumbnail is not None:
            _, artifacts["thumbnail"] = store("thumbnail.jpg", thumbnail, "image/jpeg")
        cluster.patch(job_id, {"status": {"phase": "Succeeded", "artifacts": artifacts}}, "/status")
        return key

    return finished


@pytest.fixture
def job_id(cluster: Cluster) -> str:
    """A job that nobody renders."""
    cluster.create("a-job")
    return "a-job"


@pytest.fixture
def environment(settings: Settings, tmp_path: Path) -> dict[str, str]:
    """What the pod of the API would find in its environment."""
    return environment_of(settings, tmp_path)


def environment_of(settings: Settings, folder: Path) -> dict[str, str]:
    """Return the environment that says what these settings say; the catalogue is written into the folder."""
    file = folder / "catalogue.json"
    file.write_text(settings.catalogue.model_dump_json(by_alias=True, exclude_none=True))
    assert settings.kubeconfig
    return dict(
        os.environ,
        KUBECONFIG=settings.kubeconfig,
        VIDEOJOB_NAMESPACE=settings.namespace,
        VIDEOJOB_CATALOGUE=str(file),
        VIDEOJOB_S3_BUCKET=settings.bucket,
        VIDEOJOB_API_HOST="127.0.0.1",
        VIDEOJOB_API_PORT=str(free_port()),
    )


@pytest.fixture
def live(settings: Settings) -> Iterator[str]:
    """URL of an API that a thread of this process serves: the quicker way where nothing depends on the process."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        wait_for(lambda: server.started, "the start of the API", seconds=120)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def server(environment: dict[str, str], tmp_path: Path) -> Iterator[Server]:
    """The API as its own process."""
    log = tmp_path / "api.log"
    with log.open("wb") as stdout:
        process = subprocess.Popen(
            [sys.executable, "-m", "videojob_api"], env=environment, stdout=stdout, stderr=stdout
        )
    server = Server(f"http://127.0.0.1:{environment['VIDEOJOB_API_PORT']}", process, log)
    try:
        wait_for(server.answers, "the start of the API", seconds=240)
        yield server
    finally:
        process.kill()
        process.wait()


def grant(cluster: Cluster, namespace: str | None = None) -> None:
    """Make the service account `api` with the rights of the API there, or give it those in another namespace too."""
    core, rbac = "api/v1", "apis/rbac.authorization.k8s.io/v1"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "api"}
    subject = {"kind": "ServiceAccount", "name": "api", "namespace": cluster.namespace}
    named = {"metadata": {"name": "api"}}
    for group, plural, manifest in (
        (core, "serviceaccounts", named),
        (rbac, "roles", named | {"rules": RIGHTS}),
        (rbac, "rolebindings", named | {"roleRef": role, "subjects": [subject]}),
    ):
        if namespace is None or plural != "serviceaccounts":
            url = f"/{group}/namespaces/{namespace or cluster.namespace}/{plural}"
            cluster.http.post(url, json=manifest).raise_for_status()


@contextmanager
def ending_jobs(cluster: Cluster, end: Callable[[str], object], *, but: str = "") -> Iterator[None]:
    """Let `end` bring each job to its end soon after it is made, all but one, for the time of this context."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.1):
            for job in cluster.all():
                name = job["metadata"]["name"]
                if name != but and "phase" not in (job.get("status") or {}):
                    with suppress(AssertionError):  # some are deleted meanwhile
                        end(name)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def keyed(settings: Settings, folder: Path, name: str, requests_per_minute: int | None = None) -> tuple[Settings, str]:
    """Return settings that let one key in, and the key."""
    key, entry = new_key(name, settings.namespace, requests_per_minute)
    file = folder / "keys.json"
    file.write_text(f'{{"keys": [{entry}]}}')
    return replace(settings, authentication=Authentication.KEYS, keys_file=file), key


def by_way_of(port: int, settings: Settings, folder: Path) -> str:
    """Write a kubeconfig that leads to the API server by way of a port; return its path."""
    content: dict[str, Any] = yaml.safe_load(Path(settings.kubeconfig or "").read_text())
    content["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    (folder / "relayed.yaml").write_text(yaml.safe_dump(content))
    return str(folder / "relayed.yaml")


def write_kubeconfig(path: Path, server: str) -> Path:
    """Write a kubeconfig for an API server that need not exist."""
    path.with_suffix(".token").write_text("a-token")
    path.write_text(
        f"""
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "{server}"}}}}]
users: [{{name: u, user: {{tokenFile: "{path.with_suffix(".token")}"}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
"""
    )
    return path
