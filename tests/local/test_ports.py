"""Ports are asked for, and a port that is taken is named together with the remedy."""

import socket

import pytest

from videojob_local.errors import PortInUse
from videojob_local.ports import claim, free_ports, is_free


def listen(port: int = 0, *, family: socket.AddressFamily = socket.AF_INET, host: str = "127.0.0.1") -> socket.socket:
    listener = socket.socket(family)
    listener.bind((host, port))
    listener.listen()
    return listener


def test_free_ports_are_different_and_can_be_listened_on() -> None:
    ports = free_ports(5, partner_distance=10_000)
    listeners = [listen(port) for port in [*ports, *(port + 10_000 for port in ports)]]
    assert len({listener.getsockname()[1] for listener in listeners}) == 10
    for listener in listeners:
        listener.close()


def test_a_port_with_a_listener_is_refused_in_one_sentence() -> None:
    with listen() as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortInUse, match=rf"^port {port} \(the REST API\) is in use .*PORT={port + 1}$"):
            claim(port, "the REST API")


@pytest.mark.skipif(not socket.has_ipv6, reason="localhost has one address only")
def test_a_port_that_localhost_reaches_by_ipv6_is_in_use() -> None:
    try:
        listener = listen(family=socket.AF_INET6, host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")
    with listener:
        assert not is_free(listener.getsockname()[1])


def test_a_free_port_is_given_as_asked_for() -> None:
    (port,) = free_ports(1)
    assert claim(port, "the REST API") == port
