"""Before every route: who calls, how often, and may it. Closed by default, so a new route is guarded without a word."""

from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from videojob_api.access.callers import Caller, Guard
from videojob_api.access.rates import Rates
from videojob_api.access.verbs import verbs_of
from videojob_api.errors import ApiError, Forbidden
from videojob_api.failures import error_response

NAMESPACE_HEADER = "X-Videojob-Namespace"
_RAW_NAMESPACE_HEADER = NAMESPACE_HEADER.lower().encode()

CALLER = "videojob.caller"
NAMESPACE = "videojob.namespace"
"""What the gate leaves in the scope of a request."""

OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"})
OPEN_FOLDERS = ("/page/", "/docs/")
"""Files that are the same for everyone, and what probes and Prometheus ask; nothing that tells of a job."""

INTERNAL_FOLDER = "/internal/"
"""For renderers, who show another kind of token: `videojob_api.broker` asks them for it."""

_NOT_GUARDED_HERE = (*OPEN_FOLDERS, INTERNAL_FOLDER)
_SCHEME = "bearer "


@dataclass(frozen=True, slots=True)
class Gate:
    """What the middleware asks.

    Attributes:
        namespaces: that are served, the default first.
    """

    guard: Guard
    rates: Rates
    namespaces: tuple[str, ...]

    async def pass_through(self, scope: Scope) -> tuple[Caller, str]:
        """Return who calls, and in which namespace.

        Raises:
            Unauthenticated: nobody that is known.
            RateLimited: it calls too often.
            Forbidden: it may not do this.
        """
        client = scope.get("client")
        caller = await self.guard.admit(token_of(header_of(scope, b"authorization")), client[0] if client else "")
        scope[CALLER] = caller.name
        self.rates.count(caller)
        namespace = header_of(scope, _RAW_NAMESPACE_HEADER) or caller.namespace or self.namespaces[0]
        if namespace not in self.namespaces or caller.namespace not in {None, namespace}:
            raise Forbidden(f"{caller.name} sees no namespace {namespace[:64]!r} here", field=NAMESPACE_HEADER)
        await self.guard.permit(caller, namespace, verbs_of(scope["method"], scope["path"]))
        return caller, namespace


class GateMiddleware:
    """Answer whoever may not pass, and let nothing else of the application know of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of ASGI."""
        if scope["type"] == "http" and not is_open(scope["path"]):
            gate: Gate = scope["app"].state.gate
            try:
                _, scope[NAMESPACE] = await gate.pass_through(scope)
            except ApiError as error:
                await error_response(error, scope["path"])(scope, receive, send)
                return
        await self._app(scope, receive, send)


def is_open(path: str) -> bool:
    """Tell whether a path is not guarded here: it is for everyone, or has a guard of its own."""
    return path in OPEN_PATHS or path.startswith(_NOT_GUARDED_HERE)


def header_of(scope: Scope, name: bytes) -> str | None:
    """Return a header of a request, the first of its name; the name in small letters."""
    for each, value in scope["headers"]:
        if each == name:
            text: str = value.decode("latin-1")
            return text
    return None


def token_of(authorization: str | None) -> str | None:
    """Return the token of a header Authorization."""
    given = authorization or ""
    return given[len(_SCHEME) :].strip() if given[: len(_SCHEME)].lower() == _SCHEME else None
