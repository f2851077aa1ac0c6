"""Send a webhook to an address that was vetted. The only module, beside the one for Kubernetes, that speaks HTTP.

An address is vetted at the last step there is, where the socket to it is opened. So it does not matter how a URL spells
its host, and a name that resolves to something else a moment later gains nothing. Redirects are not followed, proxies
are not used, and the answer's body is not read: nothing that a user's URL leads to is shown to anyone.

Names are looked up in threads of our own, as many as there are deliveries at once. The event loop has four for all
lookups, those of the API server's name included: four webhooks to one name without an answer took them all.
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import aiohttp
from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from videojob.reasons import Reason
from videojob_operator.addresses import Network, may_be_called
from videojob_operator.webhook import Delivery, Outcome, host_of

TIMEOUT_SECONDS = 10
AT_ONCE = 64
_LONGEST_HEADER_BYTES = 8190


class _Forbidden(OSError):
    """The address may not be called, or the name stands for none that may."""


class _VettingResolver(AbstractResolver):
    """Resolve names to addresses that may be called, where they have some, and to no other."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._threads = ThreadPoolExecutor(AT_ONCE, "lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, family=family)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        results: list[ResolveResult] = [
            {
                "hostname": host,
                "host": str(address[0]),
                "port": int(address[1]),
                "family": kind,
                "proto": protocol,
                "flags": socket.AI_NUMERICHOST,
            }
            for kind, _, protocol, _, address in found
            if may_be_called(str(address[0]), self._allowed)
        ]
        if not results:
            raise _Forbidden(host)
        return results

    async def close(self) -> None:
        """Let go of the threads; a lookup that hangs is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class WebhookClient:
    """Sends webhooks.

    Args:
        allowed: networks that may be called though they are not public.
    """

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._resolver = _VettingResolver(allowed)
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # the turns are the limit
                resolver=self._resolver,
                socket_factory=self._open_socket,
                use_dns_cache=False,
                force_close=True,
            ),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
            max_line_size=_LONGEST_HEADER_BYTES,
            max_field_size=_LONGEST_HEADER_BYTES,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()
        await self._resolver.close()

    async def send(self, delivery: Delivery) -> Outcome:
        """Send it once; whatever comes of it is an outcome, never an exception."""
        async with self._turns:  # outside the time limit: to wait for others is no fault of this receiver
            return await self._send(delivery)

    async def _send(self, delivery: Delivery) -> Outcome:
        host = host_of(delivery.url)
        try:
            async with self._http.post(
                delivery.url, data=delivery.body, headers=delivery.headers, allow_redirects=False
            ) as answer:
                return _outcome(host, answer.status)
        except (aiohttp.InvalidURL, UnicodeError):
            return Outcome(Reason.WEBHOOK_REFUSED, "spec.webhook.url is not a URL that can be called")
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return _refused(host) if _is_refusal(error) else _retry(host, _explain(error))

    def _open_socket(self, address: AddrInfoType) -> socket.socket:
        """Open the socket of a connection; an address in the URL itself comes here without having seen the resolver."""
        family, kind, protocol, _, (number, *_) = address
        try:
            is_allowed = may_be_called(number, self._allowed)
        except ValueError:  # what was taken for an address and is none is not left to the system to read
            is_allowed = False
        if not is_allowed:
            raise _Forbidden(number)
        return socket.socket(family, kind, protocol)


def _outcome(host: str, status: int) -> Outcome:
    if 200 <= status < 300:
        return Outcome(Reason.WEBHOOK_DELIVERED, f"{host} was told")
    if status == 410:
        return Outcome(Reason.WEBHOOK_FAILED, f"{host} answered 410: it wants no more webhooks")
    if 300 <= status < 400:
        return _retry(host, f"answered {status}; redirects are not followed")
    return _retry(host, f"answered {status}")


def _retry(host: str, what: str) -> Outcome:
    return Outcome(Reason.WEBHOOK_RETRYING, f"{host} {what}")


def _refused(host: str) -> Outcome:
    message = f"{host} has no public address; an administrator can allow networks in webhooks.allowedNetworks"
    return Outcome(Reason.WEBHOOK_REFUSED, message)


def _is_refusal(error: BaseException | None) -> bool:
    """Tell whether the resolver refused; aiohttp wraps what it raised."""
    while error is not None:
        if isinstance(error, _Forbidden):
            return True
        error = getattr(error, "os_error", None) or error.__cause__
    return False


def _explain(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"did not answer within {TIMEOUT_SECONDS} s"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "has no valid certificate"
    return "cannot be reached" if isinstance(error, aiohttp.ClientConnectorError) else "broke the connection off"
