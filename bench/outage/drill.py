"""One drill: jobs in every state, ten minutes without an API server, and afterwards a verdict."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from bench.chaos.plan import Blow
from bench.chaos.victims import Victims
from bench.outage import jobs, verdict
from bench.outage.scene import Scene
from bench.outage.watch import NAMESPACE, OperatorProcess, Seen, Watch
from tests.support.receiver import Receiver

from videojob_local.stack import Stack
from videojob_local.waiting import wait_until

_PATIENCE_SECONDS = 900
_LOOK_PAUSE_SECONDS = 5.0
Figures = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """How a drill went.

    Attributes:
        faults: what went wrong, in sentences.
        figures: what was measured.
    """

    faults: list[str]
    figures: Figures


def run(stack: Stack, url: str, seconds: float) -> Outcome:
    """Bring jobs under way, take the API server away and give it back, and judge.

    Args:
        stack: with the chart installed, and webhooks as `scene.prepare` says.
        url: of its REST API.
        seconds: of the outage.
    """
    victims = Victims(stack, NAMESPACE)
    with closing(Scene(stack, url)) as scene, Receiver() as receiver:
        _begin(scene, receiver.url())
        before = verdict.Before(scene.job_uids(), len(receiver.received))
        operator = OperatorProcess(stack)
        rss_mb = operator.rss_mb()
        seen = _outage(scene, victims, operator, seconds)
        back = _come_back(scene, operator)
        found = scene.collect(len(victims.renderers()))
        faults = [
            *(f"{sentence} (at {count} of {seen.looks} looks)" for sentence, count in seen.faults.items()),
            *([] if operator.is_the_same() else ["the operator is another process than before"]),
            *verdict.judge(before, found, scene, receiver.received),
        ]
    figures = {
        "outage_seconds": seconds,
        "jobs": len(jobs.ALL),
        "looks": seen.looks,
        "operator": {
            "restarts": 0 if operator.is_the_same() else 1,
            "rss_mb_before": rss_mb,
            "rss_mb_at_most": max(seen.rss_mb),
            "rss_mb_at_the_end": operator.rss_mb(),
            "cpu_percent": round(100 * seen.cpu_seconds / seconds, 2),
        },
        "api": {
            "reads_answered": seen.reads,
            "writes_refused_with_503_and_retry_after": seen.refused,
            "stale_seconds_told_at_most": seen.stale_seconds,
        },
        "seconds_after_the_return": back,
        **verdict.figures(found, scene, receiver.received[before.told :]),
    }
    return Outcome(faults, figures)


def _begin(scene: Scene, webhook: str) -> None:
    scene.order(jobs.DONE, webhook)
    _wait(lambda: scene.phase(jobs.DONE) == "Succeeded" and scene.is_notified(jobs.DONE), "the first video")
    for kind in (jobs.ENDS, jobs.DIES):
        scene.order(kind, webhook)
    _wait(
        lambda: scene.has_checkpoint(jobs.ENDS) and scene.has_checkpoint(jobs.DIES), "checkpoints of the long renders"
    )
    for kind in jobs.QUEUE:
        scene.order(kind, webhook)
    _wait(lambda: len(scene.job_uids()) == len(jobs.ALL), "a Job for each VideoJob")


def _outage(scene: Scene, victims: Victims, operator: OperatorProcess, seconds: float) -> Seen:
    """Kill the API server and then one renderer; look until the API server is started again, and until it is ready."""
    names = [scene.names[kind] for kind in jobs.ALL]
    watch = Watch(operator, scene.http, names, scene.video(jobs.DONE))
    plane = scene.stack.control_plane
    with ThreadPoolExecutor(1) as pool:
        blow = pool.submit(victims.strike, Blow(0.0, "kube-apiserver", seconds, 0.0))
        began = time.monotonic()
        wait_until(lambda: not plane.is_ready(), "the end of the API server", seconds=60)
        scene.kill_renderer(jobs.DIES)
        seen = watch.until(began + seconds - _LOOK_PAUSE_SECONDS, _LOOK_PAUSE_SECONDS)
        if not scene.renderer(jobs.ENDS):
            seen.faults["the render that ended without an API server did not wait for it with its video"] += 1
        blow.result()
    return seen


def _come_back(scene: Scene, operator: OperatorProcess) -> dict[str, float]:
    """Wait until everything is in step again, and say how long each took."""
    began = time.monotonic()

    def seconds_until(condition: Any, what: str) -> float:
        _wait(condition, what)
        return round(time.monotonic() - began, 1)

    return {
        "operator_ready": seconds_until(lambda: operator.probe("/readyz") == 200, "readiness of the operator"),
        "api_in_step": seconds_until(scene.api_is_in_step, "the API's being in step"),
        "waiting_video_recorded": seconds_until(lambda: scene.phase(jobs.ENDS) == "Succeeded", "the waiting video"),
        "all_ended": seconds_until(scene.all_have_ended, "the end of all jobs"),
        "all_told": seconds_until(lambda: scene.is_notified(jobs.ENDS) and scene.is_calm(), "the webhook that is owed"),
    }


def _wait(condition: Any, what: str) -> None:
    wait_until(condition, what, seconds=_PATIENCE_SECONDS)
