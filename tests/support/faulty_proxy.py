"""A proxy between an operator and the real API server that can misbehave the way API servers and networks do.

It speaks TLS to both sides: the operator trusts its certificate, and its own requests carry the operator's token.
"""

import contextlib
import json
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from loopback_server import LoopbackServer, Quiet

from videojob_local.control_plane import write_kubeconfig
from videojob_local.pki import SERVER, Authority

HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


@dataclass(frozen=True)
class Request:
    """What is asked of the API server."""

    method: str
    path: str

    @property
    def plural(self) -> str:
        """The kind of the objects."""
        return next((word for word in ("videojobs", "leases", "events", "pods", "jobs") if word in self.path), "")

    @property
    def is_watch(self) -> bool:
        """Tell whether it is a watch."""
        return parse_qs(urlsplit(self.path).query).get("watch") == ["true"]

    @property
    def is_write(self) -> bool:
        """Tell whether it changes something."""
        return self.method not in {"GET", "HEAD"}


class FaultyProxy(LoopbackServer):
    """The proxy; a context manager.

    Attributes:
        refuse: asked before each request; a status code is answered instead, None lets it pass.
        after: called after the API server has carried out a request and before its answer is given on.
        retry_after: header of refusals.
        served: how often each (method, plural) got through.
        streams: the watches that run.
        poison: the error event that the next watch of a kind gets.
    """

    def __init__(self, server: str, ca: Path, folder: Path) -> None:
        folder.mkdir()
        self.refuse: Callable[[Request], int | None] = lambda _: None
        self.after: Callable[[Request], object] = lambda _: None
        self.retry_after: int | None = None
        self.served: Counter[tuple[str, str]] = Counter()
        self._upstream = urlsplit(server)
        self._upstream_tls = ssl.create_default_context(cafile=ca)
        authority = Authority(folder, "proxy-ca")
        pair = authority.issue("proxy-server", "proxy", SERVER)
        self._ca = authority.path
        self.streams: set[HTTPSConnection] = set()
        self.poison: dict[str, dict[str, Any]] = {}
        super().__init__(type("Handler", (_Handler,), {"proxy": self}), pair)

    def kubeconfig(self, path: Path) -> Path:
        """Rewrite a kubeconfig with a token so that it leads through the proxy."""
        content = json.loads(path.read_text())
        user = content["users"][0]["user"]
        namespace = content["contexts"][0]["context"]["namespace"]
        write_kubeconfig(path, f"https://127.0.0.1:{self.port}", self._ca, user, namespace)
        return path

    def cut_watches(self) -> None:
        """Break all watches off in the middle."""
        for connection in list(self.streams):
            with contextlib.suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def poison_watches(self, plural: str, code: int) -> None:
        """Have the next watch of a kind answer with an error event, and cut those that run."""
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "code": code,
            "message": "told by the test",
        }
        self.poison[plural] = {"type": "ERROR", "object": status}
        self.cut_watches()

    def connect(self) -> HTTPSConnection:
        """Open a connection to the API server."""
        host, port = str(self._upstream.hostname), self._upstream.port
        return HTTPSConnection(host, port, context=self._upstream_tls, timeout=300)

    @property
    def poisoned(self) -> set[str]:
        """Kinds whose error event nobody has got yet."""
        return set(self.poison)

    def __exit__(self, *_: object) -> None:
        self.cut_watches()
        super().__exit__()


class _Handler(Quiet, BaseHTTPRequestHandler):
    """Serves one connection of the operator."""

    protocol_version = "HTTP/1.1"
    proxy: FaultyProxy

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        proxy, request = self.proxy, Request(self.command, self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if code := proxy.refuse(request):
            self._answer(code, {"Retry-After": str(proxy.retry_after)} if proxy.retry_after else {}, b"{}")
        elif request.is_watch and request.plural in proxy.poison:
            event = proxy.poison.pop(request.plural)
            self._answer(200, {"Content-Type": "application/json"}, json.dumps(event).encode() + b"\n")
        else:
            self._forward(request, body)

    def _forward(self, request: Request, body: bytes) -> None:
        upstream = self.proxy.connect()
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            upstream.request(self.command, self.path, body=body or None, headers=headers)
            answer = upstream.getresponse()
            if request.is_watch:
                self._stream(upstream, answer)
                return
            content = answer.read()
        except (OSError, HTTPException):
            self.close_connection = True
            return
        finally:
            upstream.close()
        self.proxy.served[request.method, request.plural] += answer.status < 400
        if answer.status < HTTPStatus.BAD_REQUEST:
            self.proxy.after(request)
        self._answer(answer.status, dict(answer.headers), content)

    def _stream(self, upstream: HTTPSConnection, answer: HTTPResponse) -> None:
        self.proxy.streams.add(upstream)
        self.close_connection = True
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            while chunk := answer.read1(65536):
                self.wfile.write(chunk)
        except (OSError, HTTPException, ValueError):  # cut by the test, or the operator has gone
            pass
        finally:
            self.proxy.streams.discard(upstream)

    def _answer(self, code: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(code)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
