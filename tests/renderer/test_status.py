"""The status writer: the latest wins, the last is always made, and an API server that is away costs nothing else."""

import threading
from collections.abc import Callable, Iterator

import pytest
from cluster import wait_for
from recording_api import RecordingApi
from renderer_process import UID, environment

from videojob.resolve import ResolvedRequest
from videojob_renderer.environment import read_settings
from videojob_renderer.errors import StatusUnavailable
from videojob_renderer.kubernetes import ApiServerAway, StatusClient
from videojob_renderer.status import Status, StatusWriter

Make = Callable[..., ResolvedRequest]
FOR_WHOM = {"renderer": {"videoJobUid": UID}}
"""What every patch carries: an admission policy compares it with the VideoJob that bears the name now."""


@pytest.fixture
def client(api: RecordingApi, make_request: Make) -> Iterator[StatusClient]:
    environ = environment(make_request(), api_port=api.port, token_dir=api.token_dir, storage={})
    client = StatusClient(read_settings(environ))
    yield client
    client._http.close()


class Gate:
    """A patch function that waits until the test lets it through."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Event()
        self.sent: list[Status] = []

    def __call__(self, status: Status) -> None:
        self.entered.set()
        assert self.open.wait(30)
        self.sent.append(status)


def test_a_patch_carries_the_token_of_the_moment(api: RecordingApi, client: StatusClient) -> None:
    client.patch({"progress": {"percent": 1}})
    (api.token_dir / "token").write_text("second-token\n")
    client.patch({"progress": {"percent": 2}})
    first, second = api.requests
    assert first["path"] == "/apis/videojob.dev/v1alpha1/namespaces/studio/videojobs/squirrel/status"
    assert first["headers"]["Content-Type"] == "application/merge-patch+json"
    assert first["body"] == {"status": {"progress": {"percent": 1}, **FOR_WHOM}}
    assert first["headers"]["Authorization"] == "Bearer first-token"
    assert second["headers"]["Authorization"] == "Bearer second-token"


@pytest.mark.parametrize("code", [0, 401, 403, 409, 429, 500, 503])
def test_what_another_try_may_mend_is_told_as_away(api: RecordingApi, client: StatusClient, code: int) -> None:
    api.answers = [code]
    with pytest.raises(ApiServerAway):
        client.patch({})


@pytest.mark.parametrize("code", [400, 404, 422])
def test_what_no_other_try_mends_is_told_as_refused(api: RecordingApi, client: StatusClient, code: int) -> None:
    api.answers = [code]
    with pytest.raises(StatusUnavailable, match=f"{code} to the status: told by the test"):
        client.patch({})


def test_a_recreated_videojob_is_no_matter_of_patience(api: RecordingApi, client: StatusClient) -> None:
    api.uid = "4b5e1a70-0000-4000-8000-000000000002"
    with pytest.raises(StatusUnavailable, match="another one has its name"):
        client.patch({})


def test_a_missing_token_is_waited_for(api: RecordingApi, client: StatusClient) -> None:
    (api.token_dir / "token").unlink()
    with pytest.raises(ApiServerAway):
        client.patch({})


def test_put_never_waits_and_the_latest_wins() -> None:
    gate = Gate()
    writer = StatusWriter(gate, interval_seconds=0)
    writer.put({"progress": 0}, urgent=True)
    assert gate.entered.wait(30)
    for percent in range(1, 100):
        writer.put({"progress": percent})
    gate.open.set()
    writer.close({"renderer": "report"}, patience_seconds=30)
    assert gate.sent == [{"progress": 0}, {"progress": 99, "renderer": "report"}]


def test_writes_that_are_not_urgent_wait_for_the_interval() -> None:
    gate = Gate()
    gate.open.set()
    writer = StatusWriter(gate, interval_seconds=3600)
    writer.put({"progress": 1})
    writer.put({"progress": 2}, urgent=True)
    wait_for(lambda: gate.sent, "the urgent write")
    assert gate.sent == [{"progress": 2}]
    writer.put({"progress": 3})
    writer.close({}, patience_seconds=30)
    assert gate.sent[1:] == [{"progress": 3}]


def test_the_last_write_is_made_however_often_it_fails(api: RecordingApi, client: StatusClient) -> None:
    api.answers = [503, 0]
    writer = StatusWriter(client.patch, interval_seconds=0)
    writer.close({"artifacts": {}}, patience_seconds=30)
    assert api.statuses == [{"artifacts": {}, **FOR_WHOM}] * 3


def test_a_failed_write_does_not_hide_what_came_later(api: RecordingApi, client: StatusClient) -> None:
    api.answers = [500]
    writer = StatusWriter(client.patch, interval_seconds=0)
    writer.put({"progress": {"percent": 1}, "resolved": {"seed": 7}}, urgent=True)
    wait_for(lambda: api.requests, "the failed write")
    writer.close({"progress": {"percent": 100}}, patience_seconds=30)
    assert api.statuses[-1] == {"progress": {"percent": 100}, "resolved": {"seed": 7}, **FOR_WHOM}


def test_patience_ends() -> None:
    gate = Gate()
    writer = StatusWriter(gate)
    with pytest.raises(StatusUnavailable, match="within 0 s"):
        writer.close({"artifacts": {}}, patience_seconds=0.1)
    gate.open.set()
    writer.close({}, patience_seconds=30)
    assert gate.sent == [{"artifacts": {}}]


def test_a_refusal_is_told_at_the_end(api: RecordingApi, client: StatusClient) -> None:
    api.answers = [404]
    writer = StatusWriter(client.patch, interval_seconds=0)
    writer.put({"progress": {}}, urgent=True)
    with pytest.raises(StatusUnavailable, match="404"):
        writer.close({"artifacts": {}}, patience_seconds=30)
