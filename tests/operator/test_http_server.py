"""Probes reach the operator by whatever address its pod has."""

import http.client
import socket

import pytest
from tests.operator.test_metrics import new_metrics

from videojob_operator.health import Health
from videojob_operator.http_server import serve


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_probe_is_answered_by_either_family_of_addresses(address: str) -> None:
    if address == "::1" and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    server = serve(Health(), new_metrics(), 0)
    try:
        connection = http.client.HTTPConnection(address, server.server_address[1], timeout=60)
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"ok\n"
        connection.close()
    finally:
        server.shutdown()
        server.server_close()
