"""An HTTP server that speaks the Hugging Face hub's protocol for one model repository, from a folder.

As the hub does, it names each file's size and digest (sha256 of large ones, git's sha1 of the others), redirects large
files to another path, and serves ranges. It can break off, refuse, lie and be away.
"""

import hashlib
import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from loopback_server import LoopbackServer, Quiet

REPOSITORY = "studio/tiny"
COMMIT = "1137dacfc2c9c012bed6a0793f4ecf2ca8e7ba01"
REVISIONS = ("main", "v2", COMMIT)


class HubServer(LoopbackServer):
    """The server; a context manager.

    Attributes:
        downloads: path and offset of every file that was asked for.
        cuts: path of a file -> after how many bytes the connection breaks; once each.
        answers: status codes of the next downloads; afterwards what is right.
        damaged: paths of files whose last byte is wrong.
        gates: path of a file -> waits for this event before its last byte.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.downloads: list[tuple[str, int]] = []
        self.cuts: dict[str, int] = {}
        self.answers: list[int] = []
        self.damaged: set[str] = set()
        self.gates: dict[str, threading.Event] = {}
        super().__init__(partial(_Handler, self))

    def info(self) -> dict[str, Any]:
        """What `model_info` with the files' metadata returns."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        siblings = [self._sibling(path) for path in files]
        return {"id": REPOSITORY, "sha": COMMIT, "siblings": siblings, "private": False, "tags": [], "downloads": 0}

    def _sibling(self, path: Path) -> dict[str, Any]:
        content = path.read_bytes()
        name = path.relative_to(self.folder).as_posix()
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        told: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": blob}
        if path.suffix == ".safetensors":
            sha256 = hashlib.sha256(content).hexdigest()
            told["lfs"] = {"size": len(content), "sha256": sha256, "pointerSize": 134}
        return told

    def content(self, name: str) -> bytes:
        """The bytes that are served for a file."""
        content = (self.folder / name).read_bytes()
        return content[:-1] + bytes([content[-1] ^ 1]) if name in self.damaged else content


class _Handler(Quiet, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, hub: HubServer, *arguments: Any) -> None:
        self.hub = hub
        super().__init__(*arguments)

    def do_GET(self) -> None:
        parts = unquote(self.path.partition("?")[0]).strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._answer_info("/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main")
        elif parts[0] == "cdn":
            self._answer_file("/".join(parts[1:]))
        elif parts[2:3] == ["resolve"]:
            self._answer_resolve(parts[3], "/".join(parts[4:]))
        else:  # the client asks for more than the model
            self._send(404)

    def _answer_info(self, repository: str, revision: str) -> None:
        if repository != REPOSITORY:
            self._send(404, headers={"X-Error-Code": "RepoNotFound"})
        elif revision not in REVISIONS:
            self._send(404, headers={"X-Error-Code": "RevisionNotFound"})
        else:
            self._send(200, json.dumps(self.hub.info()).encode(), {"Content-Type": "application/json"})

    def _answer_resolve(self, revision: str, name: str) -> None:
        assert revision == COMMIT, "files are asked for by commit: the branch may move meanwhile"
        if name.endswith(".safetensors"):
            self._send(302, headers={"Location": f"{self.hub.endpoint}/cdn/{name}"})
        else:
            self._answer_file(name)

    def _answer_file(self, name: str) -> None:
        if self.hub.answers and (code := self.hub.answers.pop(0)) != 200:
            self._send(code)
            return
        asked = self.headers.get("Range", "bytes=0-")
        offset = int(asked.removeprefix("bytes=").rstrip("-"))
        self.hub.downloads.append((name, offset))
        content = self.hub.content(name)
        rest = content[offset:]
        self.send_response(206 if offset else 200)
        self.send_header("Content-Length", str(len(rest)))
        if offset:
            self.send_header("Content-Range", f"bytes {offset}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self._write(name, rest)

    def _write(self, name: str, rest: bytes) -> None:
        if (cut := self.hub.cuts.pop(name, None)) is not None:
            self.wfile.write(rest[:cut])
            self.close_connection = True
            return
        self.wfile.write(rest[:-1])
        if gate := self.hub.gates.get(name):
            self.wfile.flush()
            gate.wait()
        self.wfile.write(rest[-1:])

    def _send(self, code: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
