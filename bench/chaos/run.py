"""One run: a stack with the chart on it, orders coming in, blows falling, and at the end calm and a verdict."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from random import Random

from bench.chaos import plan, verdict
from bench.chaos.customer import Customer
from bench.chaos.findings import collect, items, phase_of, renderer_pods, video_jobs
from bench.chaos.victims import Victims

from videojob_local.errors import PartFailed
from videojob_local.stack import NAMESPACE, Stack
from videojob_local.waiting import wait_until

_ENDED = {"Succeeded", "Failed", "Cancelled"}
_SETTLE_SECONDS = 180


@dataclass(frozen=True)
class Size:
    """How much of everything.

    Attributes:
        jobs: orders.
        blows: kills, at most; fewer when all jobs end before.
        order_pause_seconds: between two orders.
        blow_pause_seconds: the longest between two blows.
        patience_seconds: after the last blow, until all jobs must have ended.
    """

    jobs: int
    blows: int
    order_pause_seconds: float
    blow_pause_seconds: float
    patience_seconds: float


@dataclass(frozen=True)
class Outcome:
    """How a run went.

    Attributes:
        faults: what went wrong, in sentences.
        figures: what happened, counted.
        log: the blows.
    """

    faults: list[str]
    figures: dict[str, object]
    log: list[str]


def run(stack: Stack, url: str, seed: int, size: Size) -> Outcome:
    """Order, strike, wait, and judge."""
    random = Random(seed)
    orders = plan.orders(random, size.jobs)
    blows = plan.blows(random, size.blows, size.blow_pause_seconds)
    began, give_up = time.monotonic(), threading.Event()
    victims = Victims(stack, NAMESPACE)
    key = f"chaos-{seed}"
    customer = Customer(url, orders, pause_seconds=size.order_pause_seconds, key=key, give_up=give_up)
    with closing(customer), ThreadPoolExecutor(1) as pool:
        ordering = pool.submit(customer.work)
        try:
            _strike(stack, victims, blows, ordering)
            faults = _wait_for_the_end(stack, ordering, size.patience_seconds)
        finally:
            give_up.set()
        ordering.result()
        took_seconds = time.monotonic() - began
        _settle(stack, victims)
        found = collect(stack, NAMESPACE, customer.video, len(victims.renderers()))
    done = verdict.Run(orders, customer.placed, victims.disturbed)
    figures = {
        "jobs": size.jobs,
        "blows": dict(victims.counts),
        "seconds": round(took_seconds),
        "requests_made_again": customer.repeated,
        **verdict.figures(done, found),
    }
    return Outcome([*faults, *verdict.judge(done, found)], figures, victims.log)


def _strike(stack: Stack, victims: Victims, blows: list[plan.Blow], ordering: Future[None]) -> None:
    for blow in blows:
        time.sleep(blow.pause_seconds)
        if _all_have_ended(stack, ordering):
            return
        victims.strike(blow)


def _wait_for_the_end(stack: Stack, ordering: Future[None], seconds: float) -> list[str]:
    try:
        wait_until(lambda: _all_have_ended(stack, ordering), "the end of all jobs", seconds=seconds)
    except PartFailed as error:
        return [str(error)]
    return []


def _all_have_ended(stack: Stack, ordering: Future[None]) -> bool:
    return ordering.done() and all(phase_of(job) in _ENDED for job in video_jobs(stack, NAMESPACE).values())


def _settle(stack: Stack, victims: Victims) -> None:
    """Wait until Kubernetes has cleared up, too; what it has not cleared up by then is found by the verdict."""

    def is_calm() -> bool:
        pods = {pod["status"].get("phase") for pod in renderer_pods(stack, NAMESPACE)}
        jobs = items(stack, f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs")
        ended = all(verdict.has_ended(job) for job in jobs)
        return ended and pods <= {"Succeeded", "Failed"} and not victims.renderers()

    with suppress(PartFailed):
        wait_until(is_calm, "calm", seconds=_SETTLE_SECONDS)
