"""The network of a real node: a pair of virtual cables between the machine and the node's own network namespace.

The machine keeps nothing but its end of the cable and two routes, and both go when the namespace goes.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from videojob_local.errors import ProgramFailed
from videojob_local.programs import output_of


@dataclass(frozen=True, slots=True)
class Network:
    """Addresses and names.

    Attributes:
        name: of the node; at most ten characters, because names of network devices are made from it.
        host: address of the machine, where control plane and S3 server listen.
        node: address of the node.
        pods: network of the pods.
        services: network of the Services; the control plane's own.
        dns: address of the DNS Service.
    """

    name: str = "real"
    host: str = "10.231.0.1"
    node: str = "10.231.0.2"
    pods: str = "10.244.0.0/24"
    services: str = "10.96.0.0/24"
    dns: str = "10.96.0.10"

    @property
    def host_device(self) -> str:
        """The machine's end of the cable."""
        return f"h-{self.name}"

    @property
    def node_device(self) -> str:
        """The node's end of the cable."""
        return f"n-{self.name}"

    def connect(self, init_pid: int) -> None:
        """Lay the cable into the namespace of a process, and the routes to what lies behind it."""
        self.disconnect()
        _ip("link", "add", self.host_device, "type", "veth", "peer", "name", self.node_device, "netns", str(init_pid))
        _ip("addr", "add", f"{self.host}/30", "dev", self.host_device)
        _ip("link", "set", self.host_device, "up")
        for network in (self.services, self.pods):
            _ip("route", "add", network, "via", self.node)

    def disconnect(self) -> None:
        """Take the cable away, where it did not go with the namespace."""
        if Path(f"/sys/class/net/{self.host_device}").exists():
            with contextlib.suppress(ProgramFailed):
                _ip("link", "del", self.host_device)


def _ip(*arguments: str) -> None:
    output_of(["ip", *arguments])
