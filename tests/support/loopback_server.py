"""What the HTTP servers of the tests have in common: a port of their own on loopback, and an end."""

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from videojob_local.pki import KeyPair


class LoopbackServer:
    """A server; a context manager.

    Args:
        handler: answers the requests of one connection.
        pair: certificate and key, for a server that speaks TLS.
    """

    def __init__(self, handler: Callable[..., BaseHTTPRequestHandler], pair: KeyPair | None = None) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        # A client may break off or be killed: that is the business of the test, and no fault of the server.
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if pair:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(pair.cert, pair.key)
            # The handshake belongs to the thread of its connection, and so does a client that breaks it off.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def port(self) -> int:
        """The port on loopback."""
        return self._server.server_address[1]

    @property
    def endpoint(self) -> str:
        """URL of a server without TLS."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Quiet:
    """Part of a handler that writes nothing about its requests."""

    def log_message(self, *_: Any) -> None:
        """Write nothing."""
