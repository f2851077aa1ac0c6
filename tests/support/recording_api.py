"""An HTTPS server that stands where the API server is, for the cases the real one does not show on demand.

It records merge patches of a status, and can be told to refuse or to break connections.
"""

import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self

from loopback_server import LoopbackServer, Quiet
from renderer_process import UID

from videojob_local.pki import SERVER, Authority


class RecordingApi(LoopbackServer):
    """The server; a context manager.

    Attributes:
        requests: path, headers and body of every patch, in order, refused ones included.
        answers: status codes of the next answers; afterwards 200. 0 breaks the connection.
        refuses_results: whether a status with artifacts is refused for good.
        loses_results: whether a status with artifacts gets no answer.
        message: what a refusal says.
        uid: of the VideoJob in the answers.
    """

    def __init__(self, folder: Path) -> None:
        self.requests: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.refuses_results = False
        self.loses_results = False
        self.message = "told by the test"
        self.uid = UID
        self.token_dir = folder / "token"
        self.token_dir.mkdir(parents=True)
        authority = Authority(folder / "pki", "ca")
        pair = authority.issue("server", "server", SERVER)
        (self.token_dir / "ca.crt").write_bytes(authority.path.read_bytes())
        (self.token_dir / "token").write_text("first-token")
        super().__init__(self._handler(), pair)

    @property
    def statuses(self) -> list[dict[str, Any]]:
        """The parts of the status that were sent."""
        return [request["body"]["status"] for request in self.requests]

    @property
    def progress(self) -> list[dict[str, Any]]:
        """The progress that was sent."""
        return [status["progress"] for status in self.statuses if "progress" in status]

    def _handler(api: Self) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's
        class Handler(Quiet, BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PATCH(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                api.requests.append({"path": self.path, "headers": dict(self.headers), "body": body})
                code = api.answers.pop(0) if api.answers else 200
                if api.refuses_results and "artifacts" in body["status"]:
                    code = 422
                if api.loses_results and "artifacts" in body["status"]:
                    code = 0
                if code == 0:
                    self.close_connection = True
                    return
                text = json.dumps({"message": api.message, "metadata": {"uid": api.uid}})
                self.send_response(code)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

        return Handler
