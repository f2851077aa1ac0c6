"""No authentication: for one machine, or behind a proxy that has it. Callers are told apart by their address only."""

from dataclasses import dataclass

from videojob_api.access.callers import Caller


@dataclass(frozen=True, slots=True)
class OpenHouse:
    """Lets everyone do everything.

    Attributes:
        requests_per_minute: of one address; 0 = no limit.
    """

    requests_per_minute: int

    async def admit(self, _token: str | None, address: str) -> Caller:
        """Return a caller named after its address."""
        return Caller(address, self.requests_per_minute)

    async def permit(self, caller: Caller, namespace: str, verbs: tuple[str, ...]) -> None:
        """Allow it."""
