"""Ports on the loopback address: asked for, never assumed.

They are taken from below the range from which the kernel takes the ports of outgoing connections (32768 on Linux,
49152 on macOS): a port that was free a moment ago is then not lost to a connection before its server listens.
"""

import contextlib
import random
import socket

from videojob_local.errors import PortInUse

LOOPBACK = "127.0.0.1"
_RANGE = range(12_000, 32_000)
_TRIES = 1000


def free_port() -> int:
    """Return a port nobody listens on at the moment."""
    return free_ports(1)[0]


def free_ports(count: int, *, partner_distance: int = 0) -> list[int]:
    """Return different ports nobody listens on at the moment.

    Args:
        count: how many.
        partner_distance: each port is free together with the one so far above it (SeaweedFS puts gRPC there).

    Raises:
        PortInUse: there are not so many.
    """
    found: list[int] = []
    candidates = _RANGE[: len(_RANGE) - partner_distance]
    for port in random.sample(candidates, _TRIES):
        if is_free(port) and is_free(port + partner_distance):
            found.append(port)
        if len(found) == count:
            return found
    raise PortInUse(f"no {count} free ports were found on {LOOPBACK}")


def is_free(port: int) -> bool:
    """Tell whether a port can be listened on, and `localhost` leads to nobody else by way of IPv6."""
    return _can_listen(socket.AF_INET, LOOPBACK, port) and not _answers_on_ipv6(port)


def _can_listen(family: socket.AddressFamily, host: str, port: int) -> bool:
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind((host, port))
            return True
    return False


def _answers_on_ipv6(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("::1", port), timeout=1):
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
