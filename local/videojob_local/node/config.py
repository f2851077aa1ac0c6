"""Settings of one node, as given on its command line."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """Who the node is, where it works and what it can run.

    Attributes:
        server: URL of the API server.
        ca: certificate authority of the API server and of its clients.
        cert: the node's certificate (`system:node:NAME` of group `system:nodes`), both client and server.
        key: its private key.
        name: name of the Node object.
        address: IP address of the node and of all its Pods.
        port: HTTPS port of the log server.
        state: folder of the Pods' files; one agent at a time.
        images: image pattern (as in a shell) → command line that stands for the image's entry point; the first match
            counts.
        labels: more labels of the Node.
        cpus: CPUs in the node's capacity; None = those of the machine.
        gpus: GPUs in the node's capacity; None = those of the machine, or one pretended GPU where it has none.
        log_client: common name of the only client certificate that may read logs.
        token_refresh: part of a token's lifetime after which it is renewed.
        shutdown_grace_seconds: the longest any Pod may take to end when the node itself is told to end.
        host_folders: folders of this machine that Pods know by their real paths, such as a cache of models; a path in
            one of them stays as it is, even where it lies below a mountPath such as /tmp.
    """

    server: str
    ca: Path
    cert: Path
    key: Path
    name: str
    state: Path
    address: str
    port: int
    images: Mapping[str, tuple[str, ...]]
    labels: Mapping[str, str]
    cpus: int | None
    gpus: int | None
    log_client: str
    token_refresh: float
    shutdown_grace_seconds: float
    host_folders: tuple[str, ...] = ()
