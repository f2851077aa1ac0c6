"""Who calls, and what stands between a call and the jobs."""

import hashlib
import re
from dataclasses import dataclass
from typing import Protocol

_TOKEN = re.compile(r"[!-~]{1,8192}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the cluster, as the API server knows it.

    Attributes:
        extra: further words of whoever knows the user, in the order of their names.
    """

    username: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sends a request.

    Attributes:
        name: goes into the log, and has a rate of its own.
        requests_per_minute: 0 = as many as it likes.
        namespace: the only one that it sees; None = it may name any that is served.
        account: of the cluster, where the cluster knows the caller.
    """

    name: str
    requests_per_minute: int
    namespace: str | None = None
    account: Account | None = None


def digest_of(token: str) -> bytes | None:
    """Return what is remembered of a token of the cluster; None of what can be none."""
    return hashlib.sha256(token.encode()).digest() if _TOKEN.fullmatch(token) else None


class Guard(Protocol):
    """A way to know callers."""

    async def admit(self, token: str | None, address: str) -> Caller:
        """Return who calls.

        Args:
            token: of the header `Authorization: Bearer`; None where there is no such header.
            address: the call comes from.

        Raises:
            Unauthenticated: nobody that is known.
            ClusterUnavailable: the cluster would know, and does not answer.
        """

    async def permit(self, caller: Caller, namespace: str, verbs: tuple[str, ...]) -> None:
        """Return where the caller may do this in the namespace.

        Args:
            caller: as `admit` told.
            namespace: one that is served.
            verbs: what the call does to VideoJobs, in the words of Kubernetes.

        Raises:
            Forbidden: it may not.
            ClusterUnavailable: the cluster would know, and does not answer.
        """
