"""How often the operator writes to the API server: what ten thousand jobs cost is this number, ten thousand times."""

import json
from pathlib import Path

import pytest
from cluster import Cluster, wait_for
from faulty_proxy import FaultyProxy, Request
from operator_process import Start

from videojob_local.tiny_models import ensure_tiny_models

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

CREATE, STATUS, EVENT = ("POST", "jobs"), ("PATCH", "videojobs"), ("POST", "events")


@pytest.fixture
def rendering(tmp_path: Path) -> dict[str, str]:
    """Settings of an operator whose jobs are rendered by the real renderer."""
    models = {"tiny": {"family": "2b", "source": str(ensure_tiny_models()["2b"])}}
    (tmp_path / "models.json").write_text(json.dumps({"defaultModel": "tiny", "models": models}))
    (tmp_path / "plain.json").write_text(json.dumps({"default": {"gpus": 0, "image": "videojob-renderer:test"}}))
    return {
        "VIDEOJOB_CATALOGUE": str(tmp_path / "models.json"),
        "VIDEOJOB_PROFILES": str(tmp_path / "plain.json"),
    }


def test_a_plain_life_costs_two_writes_on_its_way_in_and_one_a_phase_and_its_memory_costs_none(
    empty_studio: Cluster, start: Start, proxy: FaultyProxy, rendering: dict[str, str]
) -> None:
    writes: list[tuple[str, str]] = []

    def note(request: Request) -> None:
        if request.is_write:
            writes.append((request.method, request.plural))

    proxy.after = note
    first = start(kubeconfig=proxy.kubeconfig, **rendering)
    first.wait_until_ready()
    empty_studio.create("squirrel")
    empty_studio.wait_for_phase("squirrel", "Succeeded", seconds=600)
    wait_for(lambda: writes[-1] == EVENT, "the last Event", seconds=120)
    way_in, life = writes[:2], writes[2:]
    assert way_in == [CREATE, STATUS]
    changes_of_phase = len(life) // 2
    assert life == [STATUS, EVENT] * changes_of_phase
    assert len(way_in) + changes_of_phase <= 6, "of Starting, Running, Uploading and Succeeded each at most once"

    assert first.terminate() == 0
    writes.clear()
    again = start(kubeconfig=proxy.kubeconfig, **rendering)
    again.wait_until_ready()
    looks = "videojob_operator_reconcile_seconds_count"
    wait_for(lambda: again.metric(looks) >= 1, "a look at the finished VideoJob", seconds=120)
    assert again.terminate() == 0  # what it was about to write, it would have written
    assert writes == []
