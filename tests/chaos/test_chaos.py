"""While forty videos are rendered, all that can be killed is killed at random: `make chaos` in small."""

from pathlib import Path

import pytest
from bench.chaos.run import Size, run
from bench.installed_stack import installed_stack

from videojob_local.binaries import Binaries

SEED = 7
"""The same blows every time; `make chaos` draws others."""

SIZE = Size(jobs=40, blows=24, order_pause_seconds=0.5, blow_pause_seconds=12, patience_seconds=1800)


@pytest.mark.timeout(3600)
def test_whatever_is_killed_every_video_is_there_once_and_nothing_is_left_over(
    binaries: Binaries, tmp_path: Path
) -> None:
    with installed_stack(tmp_path / "stack", binaries) as (stack, url):
        outcome = run(stack, url, SEED, SIZE)
    told = "\n".join([*outcome.log, *outcome.faults])
    assert not outcome.faults, told
