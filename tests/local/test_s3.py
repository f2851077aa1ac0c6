"""The S3 server keeps a bucket for those who have its keys, and for nobody else."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from botocore.exceptions import ClientError
from s3_client import s3_client

from videojob_local.processes import Processes
from videojob_local.s3 import S3Server

SOCKETS = Path("/tmp")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    folder = tmp_path_factory.mktemp("s3-server")
    server = S3Server(folder, Processes(folder), bucket="films")
    try:
        server.start()
        yield server
    finally:
        server.stop()


def test_objects_outlive_the_server_with_keys_and_address(server: S3Server) -> None:
    storage = server.storage
    s3 = s3_client(storage)
    s3.put_object(Bucket="films", Key="a/b.mp4", Body=b"film")
    server.stop()
    assert not server.is_ready()
    server.resume()
    assert server.storage == storage
    assert s3.get_object(Bucket="films", Key="a/b.mp4")["Body"].read() == b"film"
    s3.close()


def test_nobody_reads_without_the_keys(server: S3Server) -> None:
    assert requests.get(f"{server.storage.endpoint}/films?list-type=2", timeout=5).status_code == 403
    stranger = s3_client(dataclasses.replace(server.storage, secret_access_key="guessed"))
    with pytest.raises(ClientError, match=r"SignatureDoesNotMatch|AccessDenied"):
        stranger.list_objects_v2(Bucket="films")
    stranger.close()


def test_every_server_has_keys_of_its_own(server: S3Server, tmp_path: Path) -> None:
    other = S3Server(tmp_path, Processes(tmp_path))
    try:
        other.start()
        assert other.storage.secret_access_key != server.storage.secret_access_key
        assert other.storage.endpoint != server.storage.endpoint
    finally:
        other.stop()


def test_a_stopped_server_leaves_no_socket_behind(tmp_path: Path) -> None:
    server = S3Server(tmp_path, Processes(tmp_path))
    before = set(SOCKETS.glob("seaweedfs-*.sock"))
    server.start()
    own = set(SOCKETS.glob("seaweedfs-*.sock")) - before
    server.stop()
    port = server.storage.endpoint.rsplit(":", 1)[1]
    assert any(port in path.name for path in own)
    assert [path for path in SOCKETS.glob("seaweedfs-*.sock") if port in path.name] == []
