"""The API as a renderer without keys meets it: it signs what it is asked to, or fails as told.

Whom it should refuse is tested with the real one; here it takes the keys of a real S3 server and signs for everyone.
"""

import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self

import anyio
from loopback_server import LoopbackServer, Quiet

from videojob.broker import PATH, TOKEN_FILE, SignedUrls, Wishes
from videojob_api.storage import Storage as Signer
from videojob_local.s3 import Storage


class SigningApi(LoopbackServer):
    """The server; a context manager. boto3's variables must be those of the S3 server while it is made.

    Attributes:
        token_dir: where the renderer finds its token.
        tokens: that were shown, in order.
        wishes: that were granted, in order.
        answers: status codes of the next answers; afterwards 200. 0 breaks the connection.
    """

    def __init__(self, storage: Storage, token_dir: Path) -> None:
        self.token_dir = token_dir
        (token_dir / TOKEN_FILE).write_text("a-token")
        self.tokens: list[str] = []
        self.wishes: list[tuple[str, str]] = []
        self.answers: list[int] = []
        self._signer = Signer(storage.bucket, storage.endpoint)
        super().__init__(self._handler())

    def __exit__(self, *details: object) -> None:
        super().__exit__(*details)
        self._signer.close()

    def answer(self, path: str, token: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Answer one question."""
        self.tokens.append(token)
        code = self.answers.pop(0) if self.answers else 200
        if path != PATH or code != 200:
            return code, {"error": {"message": "told by the test"}}
        wishes = Wishes.model_validate_json(body).wishes
        self.wishes += [(wish.method, wish.key) for wish in wishes]
        return 200, SignedUrls(urls=anyio.run(self._signer.sign, wishes)).dump()

    def _handler(api: Self) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's
        class Handler(Quiet, BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                code, content = api.answer(self.path, self.headers["Authorization"].removeprefix("Bearer "), body)
                if code == 0:
                    self.close_connection = True
                    return
                text = json.dumps(content)
                self.send_response(code)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

        return Handler
