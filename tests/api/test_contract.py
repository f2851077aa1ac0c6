"""The OpenAPI document holds, whatever one sends: schemathesis asks all that it allows and much that it does not.

The cases are the same in every run. For others: SCHEMATHESIS_SEED=7 make test TESTS=tests/api/test_contract.py
"""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from tests.api.conftest import ending_jobs, keyed

from videojob_api.settings import Settings

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

SEED = os.environ.get("SCHEMATHESIS_SEED", "1")
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
CASES = 2000
EXAMPLES = 80
"""Of each operation, beside those at the edges of each of its fields."""


@pytest.fixture(name="settings")
def with_keys(settings: Settings, tmp_path: Path) -> Settings:
    """Settings that ask for a key, so that it is tried without one as well."""
    with_key, key = keyed(settings, tmp_path, "tester", requests_per_minute=0)
    (tmp_path / "key").write_text(key)
    return with_key


@pytest.fixture
def ended_at_once(cluster: Cluster, finish: Callable[..., str]) -> Iterator[None]:
    """Every job ends soon after it is made, one with a video and the next without: else its events never would."""
    turns = itertools.count()

    def end(name: str) -> None:
        if next(turns) % 2:
            finish(name, b"\0" * 1000)
        else:
            status = {"phase": "Failed", "reason": "OutOfMemory", "message": "the GPU has no memory left"}
            cluster.patch(name, {"status": status}, "/status")

    with ending_jobs(cluster, end):
        yield


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
