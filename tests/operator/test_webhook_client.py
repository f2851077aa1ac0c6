"""Sending a webhook: to vetted addresses only, without redirects, and with an outcome whatever happens."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from receiver import Receiver
from tests.operator.scripted_api import eventually

from videojob.reasons import Reason
from videojob_local.ports import free_port
from videojob_operator.addresses import read_networks
from videojob_operator.webhook import Delivery, Outcome
from videojob_operator.webhook_client import AT_ONCE, TIMEOUT_SECONDS, WebhookClient

LOOPBACK = read_networks("127.0.0.0/8")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def strict() -> AsyncIterator[WebhookClient]:
    """Calls public addresses only."""
    client = WebhookClient(())
    yield client
    await client.close()


@pytest.fixture
async def local() -> AsyncIterator[WebhookClient]:
    """Calls loopback too."""
    client = WebhookClient(LOOPBACK)
    yield client
    await client.close()


async def send(client: WebhookClient, url: str) -> Outcome:
    return await client.send(Delivery(url, {"webhook-id": "msg_1"}, b"{}"))


async def test_it_reaches_an_allowed_address_by_number_and_by_name(local: WebhookClient, receiver: Receiver) -> None:
    for host in ("127.0.0.1", "localhost"):
        outcome = await send(local, receiver.url(host))
        assert (outcome.reason, outcome.message) == (Reason.WEBHOOK_DELIVERED, f"{host} was told")
    assert [(each.path, each.headers["webhook-id"], each.body) for each in receiver.received] == [
        ("/hook", "msg_1", b"{}")
    ] * 2


LOOPBACK_IN_DISGUISE = (
    "127.0.0.1",
    "localhost",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::1%25lo]",
    "[v1.::1]",
    "2130706433",
    "127.1",
    "0x7f.1",
    "0177.0.0.1",
    "127.0.0.1.",
    "１２７.０.０.１",  # noqa: RUF001 - what the URL's host is mapped to is called, and not what stands there
    "127。0。0。1",
    "①②⑦.0.0.1",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "example.com@127.0.0.1",
    "example.com:80@１２７.1",  # noqa: RUF001
    "example.com\\@127.0.0.1",
)


@pytest.mark.parametrize("host", LOOPBACK_IN_DISGUISE)
async def test_an_address_that_is_not_public_gets_not_even_a_connection(
    strict: WebhookClient, receiver: Receiver, host: str
) -> None:
    outcome = await send(strict, receiver.url(host))
    assert outcome.reason is Reason.WEBHOOK_REFUSED
    assert receiver.received == []


async def test_a_name_is_looked_up_once_and_called_at_an_address_that_was_vetted(
    local: WebhookClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a first look at a name and the call there is no second one that a rebinding name could use."""
    asked = []

    def resolve(host: str, port: int, **_: object) -> object:
        asked.append(host)
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*kind, ("10.0.0.1", port)), (*kind, ("127.0.0.1", port))][: 2 if len(asked) == 1 else 1]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert (await send(local, receiver.url("rebind.example"))).reason is Reason.WEBHOOK_DELIVERED
    assert asked == ["rebind.example"]
    assert (await send(local, receiver.url("rebind.example"))).reason is Reason.WEBHOOK_REFUSED
    assert len(receiver.received) == 1


async def test_redirects_are_not_followed(local: WebhookClient, receiver: Receiver) -> None:
    receiver.answers, receiver.location = [307], receiver.url(path="/elsewhere")
    outcome = await send(local, receiver.url())
    assert outcome.reason is Reason.WEBHOOK_RETRYING
    assert outcome.message == "127.0.0.1 answered 307; redirects are not followed"
    assert [each.path for each in receiver.received] == ["/hook"]


@pytest.mark.parametrize(
    ("answer", "reason", "message"),
    [
        (204, Reason.WEBHOOK_DELIVERED, "127.0.0.1 was told"),
        (400, Reason.WEBHOOK_RETRYING, "127.0.0.1 answered 400"),
        (503, Reason.WEBHOOK_RETRYING, "127.0.0.1 answered 503"),
        (410, Reason.WEBHOOK_FAILED, "127.0.0.1 answered 410: it wants no more webhooks"),
        (0, Reason.WEBHOOK_RETRYING, "127.0.0.1 broke the connection off"),
    ],
)
async def test_each_answer_has_its_outcome(
    local: WebhookClient, receiver: Receiver, answer: int, reason: Reason, message: str
) -> None:
    receiver.answers = [answer]
    outcome = await send(local, receiver.url())
    assert (outcome.reason, outcome.message) == (reason, message)


async def test_a_receiver_that_says_nothing_is_given_up_after_ten_seconds(
    local: WebhookClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert local._http.timeout.total == 10
    monkeypatch.setattr(local._http, "_timeout", local._http.timeout.__class__(total=0.2))
    receiver.hold.clear()
    assert (await send(local, receiver.url())).message == "127.0.0.1 did not answer within 10 s"


async def test_names_whose_lookup_hangs_do_not_hold_up_the_others(
    local: WebhookClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lookup takes a thread for as long as it hangs, and an event loop has a handful: four such names starved all."""
    real, hanging, answered = socket.getaddrinfo, [], threading.Event()

    def look_up(host: str, *rest: Any, **named: Any) -> Any:
        if not host.startswith("tarpit"):
            return real(host, *rest, **named)
        hanging.append(host)
        answered.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    stuck = [asyncio.create_task(send(local, f"http://tarpit{n}.example/")) for n in range(AT_ONCE - 1)]
    try:
        await eventually(lambda: len(hanging) == len(stuck), "all of them hang")
        assert (await send(local, receiver.url("localhost"))).reason is Reason.WEBHOOK_DELIVERED
    finally:
        answered.set()
        await asyncio.gather(*stuck)


async def test_the_wait_for_a_turn_is_no_fault_of_the_receiver(
    local: WebhookClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_turns", asyncio.Semaphore(2))
    receiver.hold.clear()
    slow = [asyncio.create_task(send(local, receiver.url())) for _ in range(2)]
    await eventually(lambda: len(receiver.received) == 2, "both arrive")
    last = asyncio.create_task(send(local, receiver.url(path="/last")))
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + TIMEOUT_SECONDS)
    assert {each.reason for each in await asyncio.gather(*slow)} == {Reason.WEBHOOK_RETRYING}
    receiver.hold.set()
    assert (await last).reason is Reason.WEBHOOK_DELIVERED


async def test_what_cannot_be_reached_is_said_without_the_url(local: WebhookClient) -> None:
    outcome = await send(local, f"http://127.0.0.1:{free_port()}/secret?token=secret")
    assert (outcome.reason, outcome.message) == (Reason.WEBHOOK_RETRYING, "127.0.0.1 cannot be reached")
    outcome = await send(local, "https://name.invalid/secret")
    assert (outcome.reason, outcome.message) == (Reason.WEBHOOK_RETRYING, "name.invalid cannot be resolved")


async def test_a_certificate_that_nobody_vouches_for_is_refused(local: WebhookClient, receiver: Receiver) -> None:
    outcome = await send(local, receiver.url().replace("http:", "https:"))
    assert outcome.reason is Reason.WEBHOOK_RETRYING
    assert receiver.received == []


@pytest.mark.parametrize("url", ["http://[broken/", "http://host:99999/", "http://" + "a" * 300 + ".example/"])
async def test_a_url_that_is_none_has_an_outcome_too(local: WebhookClient, url: str) -> None:
    assert (await send(local, url)).reason in {Reason.WEBHOOK_REFUSED, Reason.WEBHOOK_RETRYING}
