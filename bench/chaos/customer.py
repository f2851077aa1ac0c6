"""Who orders the videos: a client of the REST API that asks again for as long as nobody answers.

Every order bears an Idempotency-Key, so an order whose answer was lost is repeated without being doubled.
"""

import heapq
import threading
import time
from collections.abc import Callable
from functools import partial

import httpx
from bench.chaos.plan import Order

PATIENCE_SECONDS = 600
"""Longer than the kubelet's longest pause before it starts a container again that was killed often."""

_PAUSE_SECONDS = 0.5


class Customer:
    """Places the orders of one run, one after another.

    Args:
        url: of the REST API.
        orders: what is ordered.
        pause_seconds: between two orders.
        key: begins the Idempotency-Key of each order; another one in each run.
        give_up: ends the ordering early.

    Attributes:
        placed: number of the order -> name of its job.
        repeated: how many requests had to be made again.
    """

    def __init__(
        self, url: str, orders: list[Order], *, pause_seconds: float, key: str, give_up: threading.Event
    ) -> None:
        self._http = httpx.Client(base_url=url, timeout=30)
        self._orders = orders
        self._pause_seconds = pause_seconds
        self._key = key
        self._give_up = give_up
        self.placed: dict[int, str] = {}
        self.repeated = 0

    def work(self) -> None:
        """Place all orders, and cancel or delete those whose fate it is, each when its time has come."""
        fates: list[tuple[float, int]] = []
        for number, order in enumerate(self._orders):
            headers = {"Idempotency-Key": f"{self._key}-{number}"}
            answer = self._order(partial(self._http.post, "/generate", json=order.request.body(), headers=headers))
            self.placed[number] = str(answer.raise_for_status().json()["job_id"])
            if order.fate != "keep":
                heapq.heappush(fates, (time.monotonic() + order.fate_seconds, number))
            while fates and fates[0][0] <= time.monotonic():
                self._meet(heapq.heappop(fates)[1])
            self._give_up.wait(self._pause_seconds)
        while fates:
            due, number = heapq.heappop(fates)
            self._give_up.wait(max(0.0, due - time.monotonic()))
            self._meet(number)

    def video(self, name: str) -> bytes:
        """Download a video."""
        never = threading.Event()
        return self._ask(partial(self._http.get, f"/video/{name}"), never).raise_for_status().content

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _meet(self, number: int) -> None:
        """Cancel or delete a job; one that has ended cannot be cancelled, one that was deleted not be deleted again."""
        name = self.placed[number]
        if self._orders[number].fate == "cancel":
            answer = self._order(partial(self._http.post, f"/jobs/{name}/cancel"))
            too_late = 409
        else:
            answer = self._order(partial(self._http.delete, f"/jobs/{name}"))
            too_late = 404
        if answer.status_code != too_late:
            answer.raise_for_status()

    def _order(self, request: Callable[[], httpx.Response]) -> httpx.Response:
        return self._ask(request, self._give_up)

    def _ask(self, request: Callable[[], httpx.Response], give_up: threading.Event) -> httpx.Response:
        """Make a request until it is answered by more than `later`."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = request()
                if answer.status_code < 500 and answer.status_code != 429:
                    return answer
                told = f"{answer.status_code} {answer.text[:200]}"
            except httpx.TransportError as error:
                told = repr(error)
            if give_up.is_set() or time.monotonic() > deadline:
                raise RuntimeError(f"the API did not answer for {PATIENCE_SECONDS} s; its last word: {told}")
            self.repeated += 1
            time.sleep(_PAUSE_SECONDS)
