"""Tell receivers of webhooks that jobs have ended: beside the work for all other jobs, and for up to a day each.

A job that is owed a webhook has one task. A receiver that is slow or dead holds up its own jobs only. Killed and
started again, the operator finds in the conditions who has not been told yet.
"""

import asyncio
import contextlib
import logging
from pathlib import Path
from weakref import WeakValueDictionary

from videojob.reasons import Reason
from videojob_operator.backoff import EndlessBackoff
from videojob_operator.context import Context, log_fields
from videojob_operator.errors import Conflict, OperatorError, Refused
from videojob_operator.manifests import Key, Kind, Manifest, uid_of
from videojob_operator.webhook import (
    BadSecret,
    Outcome,
    build_delivery,
    conditions_after,
    host_of,
    is_owed,
    read_secrets,
    seconds_since_end,
    seconds_to_next_try,
)
from videojob_operator.webhook_client import WebhookClient

AT_ONCE_TO_A_HOST = 4
REFUSED_PAUSE_SECONDS = 300.0  # rights and policies seldom change

log = logging.getLogger(__name__)


class Notifier:
    """Delivers webhooks.

    Args:
        context: what is shared.
        sender: of the POSTs.
        secret_file: holds the signing secrets, read afresh for each try; None = this installation sends no webhooks.
    """

    def __init__(self, context: Context, sender: WebhookClient, secret_file: Path | None) -> None:
        self._context = context
        self._sender = sender
        self._secret_file = secret_file
        self._tasks: dict[str, asyncio.Task[None]] = {}
        # Users name the hosts: a host is forgotten when nobody sends to it or waits to.
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def offer(self, key: Key, video_job: Manifest | None) -> None:
        """Look after a VideoJob if it is owed a webhook and nobody does yet."""
        if video_job is None or not is_owed(video_job):
            return
        uid = uid_of(video_job)
        if uid not in self._tasks:
            task = asyncio.create_task(self._see_through(key, uid))
            self._tasks[uid] = task
            task.add_done_callback(lambda ended: self._ended(key, uid, ended))

    def _ended(self, key: Key, uid: str, task: asyncio.Task[None]) -> None:
        del self._tasks[uid]
        if not task.cancelled() and (error := task.exception()):  # a bug with one webhook must not be silent
            log.error("a webhook failed", exc_info=error, extra=log_fields(key, uid))

    async def stop(self) -> None:
        """End all tasks; the next operator goes on."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _see_through(self, key: Key, uid: str) -> None:
        """Try until the receiver was told, a day has passed, or the VideoJob is gone."""
        first = self._owed(key, uid)
        if first is None:
            return
        loop = asyncio.get_running_loop()
        # From here on this process' own clock counts: one that is behind would else see no time pass at all.
        ended_at = loop.time() - seconds_since_end(first, self._context.clock())
        pause: float | None = 0.0  # nobody wrote down when the next try is due, so a new process tries at once
        while pause is not None:
            await asyncio.sleep(pause)
            await self._context.may_act.wait()
            video_job = self._owed(key, uid)
            if video_job is None:
                return
            outcome = await self._try(video_job)
            pause = None
            if outcome.reason is Reason.WEBHOOK_RETRYING:
                pause = seconds_to_next_try(loop.time() - ended_at)
                if pause is None:
                    outcome = Outcome(Reason.WEBHOOK_FAILED, f"given up after 24 hours: {outcome.message}")
            await self._record(key, uid, outcome)

    def _owed(self, key: Key, uid: str) -> Manifest | None:
        video_job = self._context.cache.get(Kind.VIDEO_JOBS, key)
        return video_job if video_job and uid_of(video_job) == uid and is_owed(video_job) else None

    async def _try(self, video_job: Manifest) -> Outcome:
        if self._secret_file is None:
            return Outcome(Reason.WEBHOOK_REFUSED, "this installation has no webhook secret, so it sends no webhooks")
        try:
            secrets = read_secrets(self._secret_file.read_text())  # some bytes of a mounted Secret: not worth a thread
        except (OSError, BadSecret) as error:
            why = error.strerror if isinstance(error, OSError) else error
            return Outcome(Reason.WEBHOOK_RETRYING, f"the webhook secret of the installation cannot be used: {why}")
        host = host_of(video_job["spec"]["webhook"]["url"])
        async with self._turns.setdefault(host, asyncio.Semaphore(AT_ONCE_TO_A_HOST)):
            return await self._sender.send(build_delivery(video_job, secrets, self._context.clock()))

    async def _record(self, key: Key, uid: str, outcome: Outcome) -> None:
        """Write down what came of it, however long that takes: what is not written is sent again."""
        context, meta = self._context, log_fields(key, uid) | {"reason": outcome.reason.value}
        log.info("webhook", extra=meta)
        context.metrics.webhooks.labels(outcome.reason.value).inc()
        for pause_seconds in EndlessBackoff():
            video_job = self._owed(key, uid)
            if video_job is None:
                return
            fields = {"conditions": conditions_after(video_job, outcome, context.clock())}
            try:
                context.learn(Kind.VIDEO_JOBS, await context.client.patch_status(key, video_job, fields))
            except Conflict:
                with contextlib.suppress(OperatorError):
                    await context.read_again(Kind.VIDEO_JOBS, key, video_job)
            except Refused as error:
                log.warning("the outcome of a webhook was refused", extra=meta | {"error": str(error)})
                if outcome.reason is Reason.WEBHOOK_RETRYING:  # the next try will have more to say
                    return
                await asyncio.sleep(REFUSED_PAUSE_SECONDS)
                continue
            except OperatorError as error:
                log.warning("the outcome of a webhook cannot be written yet", extra=meta | {"error": str(error)})
            else:
                return
            await asyncio.sleep(pause_seconds)
