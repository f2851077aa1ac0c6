"""A receiver of webhooks: an HTTP server on loopback that keeps what it gets and answers as the test says."""

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Self

from tests.support.loopback_server import LoopbackServer, Quiet


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver(LoopbackServer):
    """The server; a context manager.

    Attributes:
        received: all requests, in order.
        answers: status codes of the next answers; afterwards 200. 0 breaks the connection.
        location: of redirects.
        hold: while it is not set, no request is answered.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[int] = []
        self.location = ""
        self.hold = threading.Event()
        self.hold.set()
        super().__init__(self._handler())

    def url(self, host: str = "127.0.0.1", path: str = "/hook") -> str:
        """Return a URL that leads here."""
        return f"http://{host}:{self.port}{path}"

    def __exit__(self, *_: object) -> None:
        self.hold.set()
        super().__exit__()

    def _handler(receiver: Self) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's
        class Handler(Quiet, BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append(Received(self.path, dict(self.headers), body))
                code = receiver.answers.pop(0) if receiver.answers else 200
                receiver.hold.wait(60)
                if code == 0:
                    self.close_connection = True
                    return
                self.send_response(code)
                if 300 <= code < 400:
                    self.send_header("Location", receiver.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

        return Handler
