"""The search for prompts finds them, also in the log of a pod that is gone."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import wait_for
from privacy import LogKeeper, assert_no_prompt_in


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the search at the end of all tests does not see."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_a_prompt_in_a_log_is_found_and_one_elsewhere_is_not(folder: Path) -> None:
    (folder / "bucket.dat").write_text("A squirrel riding a skateboard")
    (folder / "operator.log").write_text('{"message": "Job created", "job": "squirrel"}\n')
    assert_no_prompt_in(folder)
    (folder / "part").mkdir()
    (folder / "part/renderer.log").write_text("rendering A squirrel riding a skateboard\n")
    with pytest.raises(AssertionError, match=r"a prompt stands in part/renderer\.log"):
        assert_no_prompt_in(folder)


def test_the_log_of_a_deleted_pod_is_searched_as_well(folder: Path) -> None:
    logs, kept = folder / "state/node/pods/uid/logs/renderer", folder / "kept"
    logs.mkdir(parents=True)
    kept.mkdir()
    log = logs / "0.log"
    with LogKeeper(folder / "state", kept):
        log.write_text("loading\n")
        wait_for(lambda: list(kept.iterdir()), "the link", seconds=60)
        with log.open("a") as file:
            file.write("a squirrel\n")
        log.unlink()
    with pytest.raises(AssertionError, match="node-pods-uid-logs-renderer"):
        assert_no_prompt_in(kept)
