"""The OpenAPI document holds, whatever one sends: schemathesis asks all that it allows and much that it does not.

The cases are the same in every run. For others: SCHEMATHESIS_SEED=7 make test TESTS=tests/api/test_contract.py
"""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cluster import MERGE_PATCH, Cluster

from videojob_api.access.keys import new_key
from videojob_api.settings import Authentication, Settings

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

SEED = os.environ.get("SCHEMATHESIS_SEED", "1")
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
CASES = 2000
EXAMPLES = 80
"""Of each operation, beside those at the edges of each of its fields."""


@pytest.fixture(name="settings")
def with_keys(settings: Settings, tmp_path: Path) -> Settings:
    """Settings that ask for a key, so that it is tried without one as well."""
    key, entry = new_key("tester", settings.namespace, 0)
    (tmp_path / "keys.json").write_text(f'{{"keys": [{entry}]}}')
    (tmp_path / "key").write_text(key)
    return replace(settings, authentication=Authentication.KEYS, keys_file=tmp_path / "keys.json")


@pytest.fixture
def ended_at_once(cluster: Cluster, finish: Callable[..., str]) -> Iterator[None]:
    """Every job ends soon after it is made, one with a video and the next without: else its events never would."""
    stop = threading.Event()

    def end_all() -> None:
        turns = itertools.count()
        while not stop.wait(0.1):
            for job in cluster.all():
                name = job["metadata"]["name"]
                if "phase" in job.get("status", {}):
                    continue
                if next(turns) % 2:
                    with contextlib.suppress(AssertionError):  # deleted meanwhile
                        finish(name, b"\0" * 1000)
                else:
                    status = {"phase": "Failed", "reason": "OutOfMemory", "message": "the GPU has no memory left"}
                    cluster.http.patch(cluster.url(name) + "/status", json={"status": status}, headers=MERGE_PATCH)

    thread = threading.Thread(target=end_all)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.usefixtures("ended_at_once")
def test_no_answer_is_a_fault_or_undocumented(live: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), f"--config-file={CONFIGURATION}"),
        *("run", f"{live}/openapi.json", "--header", f"Authorization: Bearer {(tmp_path / 'key').read_text()}"),
        *("--checks=all", "--phases=examples,coverage,fuzzing", f"--max-examples={EXAMPLES}", f"--seed={SEED}"),
        *("--no-color", f"--report-json-path={report}"),
    ]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=1100, check=False)
    assert ended.returncode == 0, ended.stdout[-12_000:] + ended.stderr
    told = json.loads(report.read_text())
    assert told["test_cases"]["generated"] >= CASES
    assert told["operations"]["tested"] == told["operations"]["total"]
