"""Ports on the loopback address: asked for, never assumed."""

import contextlib
import socket

from videojob_local.errors import PortInUse

LOOPBACK = "127.0.0.1"
_HIGHEST_WITH_PARTNER = 55_000


def free_port() -> int:
    """Return a port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def free_port_with_partner(distance: int) -> int:
    """Return a port that is free together with the one `distance` above it, where SeaweedFS puts gRPC."""
    for _ in range(1000):
        port = free_port() % _HIGHEST_WITH_PARTNER
        if port > 1024 and is_free(port) and is_free(port + distance):  # below are privileged ports
            return port
    raise PortInUse(f"no two free ports with a distance of {distance} were found on {LOOPBACK}")


def is_free(port: int) -> bool:
    """Tell whether a port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return True
    return False


def claim(port: int, what_for: str) -> int:
    """Return the port if it is free.

    Raises:
        PortInUse: somebody listens on it.
    """
    if not is_free(port):
        raise PortInUse(
            f"port {port} ({what_for}) is in use by another program; choose another one with PORT={port + 1}"
        )
    return port
