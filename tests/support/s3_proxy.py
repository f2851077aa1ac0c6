"""A proxy before the S3 server that tells of each object that has arrived: a test can then act at that very moment."""

import http.client
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Self
from urllib.parse import urlsplit

from loopback_server import LoopbackServer, Quiet


class S3Proxy(LoopbackServer):
    """The proxy; a context manager.

    Requests go on with the Host they came with, so that their signatures hold.

    Args:
        endpoint: of the S3 server.
        on_put: is called with path and body after the server has taken an object, before the client is told.
    """

    def __init__(self, endpoint: str, on_put: Callable[[str, bytes], None]) -> None:
        self._target = urlsplit(endpoint)
        self._on_put = on_put
        super().__init__(self._handler())

    def _handler(proxy: Self) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's
        class Handler(Quiet, BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._forward()

            def do_PUT(self) -> None:
                self._forward()

            def do_DELETE(self) -> None:
                self._forward()

            def _forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                server = http.client.HTTPConnection(proxy._target.hostname or "", proxy._target.port, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
                server.request(self.command, self.path, body, headers)
                answer = server.getresponse()
                content = answer.read()
                server.close()
                if self.command == "PUT" and answer.status == 200:
                    proxy._on_put(self.path, body)
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        return Handler
