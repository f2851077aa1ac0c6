"""The HTTPS server behind `kubectl logs`: the API server asks it, and only the API server may.

Lines carry no time of their own, since the process writes straight into the file: `--timestamps` and `--since` are
refused, not ignored.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from aiohttp import web

from videojob_local.node.config import NodeConfig
from videojob_local.node.logs import log_file, tail_offset
from videojob_local.node.pod_run import PodRun

_BLOCK_BYTES = 65536
_FOLLOW_SECONDS = 0.1
_NEEDS_TIMES = ("timestamps", "sinceSeconds", "sinceTime")


@dataclass(frozen=True, slots=True)
class LogServer:
    """Serves the logs of the node's Pods.

    Attributes:
        config: of the node.
        find: returns the newest Pod of a namespace and name.
    """

    config: NodeConfig
    find: Callable[[str, str], PodRun | None]

    async def serve(self) -> web.AppRunner:
        """Listen; clean up the returned runner to end it."""
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.config.ca)
        tls.load_cert_chain(self.config.cert, self.config.key)
        tls.verify_mode = ssl.CERT_REQUIRED
        application = web.Application()
        application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, self.config.address, self.config.port, ssl_context=tls).start()
        return runner

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if _common_name(request) != self.config.log_client:
            raise web.HTTPForbidden(text="only the API server may read logs\n")
        if any(request.query.get(option, "false") != "false" for option in _NEEDS_TIMES):
            raise web.HTTPBadRequest(text="the lines of a process node's logs carry no times\n")
        run = self.find(request.match_info["namespace"], request.match_info["pod"])
        container = request.match_info["container"]
        folder = run and run.folder / "logs" / container
        path = folder and log_file(folder, previous=request.query.get("previous") == "true")
        if not run or not path:
            raise web.HTTPNotFound(text="no such container log\n")
        answer = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        await answer.prepare(request)
        with path.open("rb") as file:
            if "tailLines" in request.query:
                file.seek(tail_offset(file, int(request.query["tailLines"])))
            await _copy(file, answer, request, lambda: _may_grow(run, container))
        return answer


async def _copy(file: BinaryIO, answer: web.StreamResponse, request: web.Request, may_grow: Callable[[], bool]) -> None:
    follow = request.query.get("follow") == "true"
    left = int(request.query.get("limitBytes", 2**62))
    while left > 0:
        growing = follow and may_grow()  # asked before the read: what is written until the end is read after it
        if block := file.read(min(left, _BLOCK_BYTES)):
            await answer.write(block)
            left -= len(block)
        elif growing:
            await asyncio.sleep(_FOLLOW_SECONDS)
        else:
            return


def _may_grow(run: PodRun, container: str) -> bool:
    record = run.containers.get(container)
    return not run.over and record is not None and record.running


def _common_name(request: web.Request) -> str | None:
    certificate = request.transport and request.transport.get_extra_info("peercert")
    pairs = [pair[0] for pair in certificate["subject"]] if certificate else []
    return dict(pairs).get("commonName")
