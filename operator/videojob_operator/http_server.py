"""/healthz, /readyz and /metrics, in threads of their own: they answer even when the event loop is stuck.

Tasks in Kopf's loop would also hold up its shutdown for five seconds: it takes every task for its own.
"""

import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer

from videojob.errors import ConfigurationError
from videojob_operator.health import Health
from videojob_operator.metrics import CONTENT_TYPE, Metrics


class _Server(ThreadingHTTPServer):
    """Listens on all addresses of both families: a kubelet probes the pod's own, in some clusters an IPv6 one."""

    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind. Not by HTTPServer's own way, which asks the name service for a name that nobody reads."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)


def serve(health: Health, metrics: Metrics, port: int) -> ThreadingHTTPServer:
    """Serve on all addresses; `shutdown` ends it.

    Raises:
        ConfigurationError: the port is taken, or not ours to take.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # a client that says nothing must not keep a thread for ever

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(HTTPStatus.OK, CONTENT_TYPE, metrics.render())
            else:
                status, text = health.answer(self.path)
                self._answer(status, "text/plain", f"{text}\n".encode())

        def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Probes come every few seconds and say nothing."""

    try:
        server = _Server(("", port), Handler)
    except OSError as error:
        raise ConfigurationError(f"cannot serve probes on port {port}: {error.strerror}") from error
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    return server
