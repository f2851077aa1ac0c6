"""The notifier over a day, refusals and restarts: a receiver is told or given up, and that is written down."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from receiver import Receiver
from tests.operator.scripted_api import ScriptedApi, eventually, operator_on
from tests.operator.worlds import NOW, Manifest, video_job

from videojob_operator import notifier as notifier_module
from videojob_operator.addresses import read_networks
from videojob_operator.context import Context
from videojob_operator.live_settings import LiveSettings
from videojob_operator.manifests import Key, Kind, timestamp
from videojob_operator.notifier import Notifier
from videojob_operator.webhook import TRIES_AT_SECONDS
from videojob_operator.webhook_client import WebhookClient

KEY = Key("studio", "squirrel")
A_DAY_SECONDS = 86_400


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secrets"
    path.write_text("whsec_" + base64.b64encode(bytes(range(32))).decode())
    return path


class Pauses:
    """Time that passes at once where the notifier sleeps, on the loop's clock and the API server's alike."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds: list[float] = []
        loop = asyncio.get_running_loop()
        real_time, real_sleep = loop.time, asyncio.sleep

        async def sleep(seconds: float) -> None:
            self.seconds.append(seconds)
            await real_sleep(0)

        monkeypatch.setattr(loop, "time", lambda: real_time() + sum(self.seconds))
        monkeypatch.setattr(notifier_module, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))


@pytest.fixture
async def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    return Pauses(monkeypatch)


def ended(receiver: Receiver, *, ago: timedelta = timedelta()) -> Manifest:
    status = {"phase": "Cancelled", "reason": "Cancelled", "completionTime": timestamp(NOW - ago)}
    return video_job(status=status, webhook={"url": receiver.url()})


def notes(api: ScriptedApi) -> list[tuple[str, str]]:
    """What was written into the condition Notified, in order."""
    statuses = [body["status"] for body in api.written("PATCH", "videojobs")]
    return [(each["reason"], each["message"]) for status in statuses for each in status["conditions"]]


@asynccontextmanager
async def notifying(context: Context, secret: Path) -> AsyncIterator[Notifier]:
    """A notifier that may call loopback; at the end it is stopped, as by SIGTERM."""
    sender = WebhookClient(read_networks("127.0.0.0/8"))
    notifier = Notifier(context, sender, secret)
    try:
        yield notifier
    finally:
        await notifier.stop()
        await sender.close()


@asynccontextmanager
async def context_of(api: ScriptedApi, live: LiveSettings, video_job: Manifest) -> AsyncIterator[Context]:
    """What an operator knows that has listed this VideoJob."""
    api.put(Kind.VIDEO_JOBS, video_job)
    async with operator_on(api, live) as works:
        await works.lists.take_in_everything()
        yield works.context


async def finish(notifier: Notifier) -> None:
    """Wait until it has nothing more to do; without a deadline, because the clock jumps."""
    await asyncio.gather(*notifier._tasks.values())


def offer(notifier: Notifier, context: Context) -> None:
    """Have the notifier look, as after each look at the VideoJob."""
    notifier.offer(KEY, context.cache.get(Kind.VIDEO_JOBS, KEY))


async def test_a_receiver_that_never_answers_is_tried_for_a_day_and_then_given_up(
    receiver: Receiver, live: LiveSettings, secret: Path, pauses: Pauses
) -> None:
    receiver.answers = [503] * 100
    api = ScriptedApi()
    async with context_of(api, live, ended(receiver)) as context, notifying(context, secret) as notifier:
        offer(notifier, context)
        await finish(notifier)
        assert len(receiver.received) == len(TRIES_AT_SECONDS)
        assert abs(sum(pauses.seconds) - A_DAY_SECONDS) < 600
        *before, last = notes(api)
        assert before == [("WebhookRetrying", "127.0.0.1 answered 503")] * (len(TRIES_AT_SECONDS) - 1)
        assert last == ("WebhookFailed", "given up after 24 hours: 127.0.0.1 answered 503")
        offer(notifier, context)
        assert not notifier._tasks, "what was given up is not owed any more"


async def test_a_job_that_ended_while_no_operator_ran_is_told_of_once_though_the_day_is_over(
    receiver: Receiver, live: LiveSettings, secret: Path
) -> None:
    api = ScriptedApi()
    async with (
        context_of(api, live, ended(receiver, ago=timedelta(days=3))) as context,
        notifying(context, secret) as notifier,
    ):
        offer(notifier, context)
        await finish(notifier)
    assert notes(api) == [("WebhookDelivered", "127.0.0.1 was told")]
    assert len(receiver.received) == 1


async def test_a_host_is_forgotten_when_its_receivers_were_told(
    receiver: Receiver, live: LiveSettings, secret: Path
) -> None:
    api = ScriptedApi()
    async with context_of(api, live, ended(receiver)) as context, notifying(context, secret) as notifier:
        receiver.hold.clear()
        offer(notifier, context)
        await eventually(lambda: bool(receiver.received), "the POST")
        assert list(notifier._turns) == ["127.0.0.1"]
        receiver.hold.set()
        await finish(notifier)
        assert not notifier._turns
    assert notes(api) == [("WebhookDelivered", "127.0.0.1 was told")]


async def test_an_operator_that_is_started_again_goes_on_with_the_next_try(
    receiver: Receiver, live: LiveSettings, secret: Path
) -> None:
    receiver.answers = [503]
    api = ScriptedApi()
    async with context_of(api, live, ended(receiver)) as context:
        async with notifying(context, secret) as first:
            offer(first, context)
            await eventually(lambda: len(notes(api)) == 1, "the note of the first try")
        async with notifying(context, secret) as second:
            offer(second, context)
            offer(second, context)  # each look at the VideoJob offers it again
            await finish(second)
            offer(second, context)
            assert not second._tasks
    assert [reason for reason, _ in notes(api)] == ["WebhookRetrying", "WebhookDelivered"]
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1
    assert len(receiver.received) == 2


async def test_a_receiver_that_was_told_is_not_told_again_because_the_note_was_refused(
    receiver: Receiver, live: LiveSettings, secret: Path, pauses: Pauses
) -> None:
    refusals = ["no right to patch"] * 5
    api = ScriptedApi(refuse=lambda method, _: refusals.pop() if method == "PATCH" and refusals else None)
    async with context_of(api, live, ended(receiver)) as context, notifying(context, secret) as notifier:
        offer(notifier, context)
        await finish(notifier)
        assert refusals == []
        assert notes(api) == [("WebhookDelivered", "127.0.0.1 was told")]
        assert len(receiver.received) == 1


async def test_a_refused_note_of_a_try_in_vain_does_not_hold_up_the_next_try(
    receiver: Receiver, live: LiveSettings, secret: Path, pauses: Pauses
) -> None:
    receiver.answers = [503]
    refusals = ["no right to patch"]
    api = ScriptedApi(refuse=lambda method, _: refusals.pop() if method == "PATCH" and refusals else None)
    async with context_of(api, live, ended(receiver)) as context, notifying(context, secret) as notifier:
        offer(notifier, context)
        await finish(notifier)
    assert notes(api) == [("WebhookDelivered", "127.0.0.1 was told")]
    assert sum(pauses.seconds) < TRIES_AT_SECONDS[2]
