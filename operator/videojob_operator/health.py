"""/healthz and /readyz, in a thread of their own: tasks in Kopf's loop would hold up its shutdown for five seconds."""

import asyncio
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from videojob.errors import ConfigurationError

LONGEST_LAG_SECONDS = 30.0
BEAT_SECONDS = 1.0


class Health:
    """What the probes are told.

    Attributes:
        not_ready_because: None once the cache is filled and the workers run.
    """

    def __init__(self) -> None:
        self.not_ready_because: str | None = "starting"
        self._last_beat = time.monotonic()

    async def beat(self) -> None:
        """Prove, again and again, that the event loop moves."""
        while True:
            self._last_beat = time.monotonic()
            await asyncio.sleep(BEAT_SECONDS)

    def lag_seconds(self) -> float:
        """Return how long the event loop has been silent."""
        return time.monotonic() - self._last_beat

    def answer(self, path: str) -> tuple[HTTPStatus, str]:
        """Answer a probe."""
        if path == "/healthz":
            alive = self.lag_seconds() < LONGEST_LAG_SECONDS
            return (HTTPStatus.OK, "ok") if alive else (HTTPStatus.SERVICE_UNAVAILABLE, "the event loop is stuck")
        if path == "/readyz":
            why = self.not_ready_because
            return (HTTPStatus.OK, "ok") if why is None else (HTTPStatus.SERVICE_UNAVAILABLE, why)
        return HTTPStatus.NOT_FOUND, "not found"


def serve_health(health: Health, port: int) -> ThreadingHTTPServer:
    """Serve the probes on all addresses; `shutdown` ends it.

    Raises:
        ConfigurationError: the port is taken, or not ours to take.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = health.answer(self.path)
            body = f"{text}\n".encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Probes come every few seconds and say nothing."""

    try:
        server = ThreadingHTTPServer(("", port), Handler)
    except OSError as error:
        raise ConfigurationError(f"cannot serve probes on port {port}: {error.strerror}") from error
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
