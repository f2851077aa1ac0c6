"""Around every request: its id, its line in the log, its measure, and a safe answer whatever happens inside."""

import logging
import re
import secrets
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from videojob.tracing import legal_traceparent
from videojob_api import logs, staleness
from videojob_api.access.gate import CALLER, header_of
from videojob_api.errors import ApiError
from videojob_api.failures import error_response
from videojob_api.metrics import Metrics
from videojob_api.safety import missing_in

log = logging.getLogger(__name__)

_USABLE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestMiddleware:
    """Give every request an id (the client's own, if it is harmless), log it, and answer what nobody else caught."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token = logs.request_id.set(_usable_id(header_of(scope, b"x-request-id")))
        trace = logs.traceparent.set(legal_traceparent(header_of(scope, b"traceparent")))
        staleness.begin()
        self._metrics.in_progress += 1
        try:
            await self._serve(scope, receive, send)
        finally:
            self._metrics.in_progress -= 1
            logs.traceparent.reset(trace)
            logs.request_id.reset(token)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.monotonic()
        status, waited = 0, 0.0

        async def send_with_id(message: Message) -> None:
            nonlocal status, waited
            if message["type"] == "http.response.start":
                status, waited = message["status"], time.monotonic() - began
                headers = [*message.get("headers", ()), (b"x-request-id", logs.request_id.get().encode())]
                headers += staleness.headers()
                message["headers"] = headers + missing_in(headers)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            log.exception("not answered as planned", exc_info=error)
            if not status:
                told = ApiError("the service failed; its log tells why under this request_id")
                await error_response(told, scope["path"])(scope, receive, send_with_id)
        finally:
            if status:
                self._metrics.count(scope["method"], _route_of(scope), status, waited)
            _log_access(scope, status, time.monotonic() - began)


def _usable_id(given: str | None) -> str:
    return given if given and _USABLE_ID.fullmatch(given) else secrets.token_hex(16)


def _route_of(scope: Scope) -> str | None:
    """Return the route's template, not its path: a path may be long, hostile or private."""
    return getattr(scope.get("route"), "path", None)


def _log_access(scope: Scope, status: int, seconds: float) -> None:
    template = _route_of(scope)
    level = logging.DEBUG if template in _PROBES and status == 200 else logging.INFO
    fields = {"method": scope["method"], "route": template, "status": status, "seconds": round(seconds, 4)}
    if caller := scope.get(CALLER):
        fields["caller"] = caller
    log.log(level, "answered", extra=fields)
