"""Settings of an operator, from files that a test may change."""

from pathlib import Path

import pytest
from tests.operator.mounted import MountedConfigMap
from tests.operator.worlds import SETTINGS

from videojob_operator.live_settings import LiveSettings


@pytest.fixture
def mounted(tmp_path: Path) -> MountedConfigMap:
    """The mounted files."""
    return MountedConfigMap(tmp_path)


@pytest.fixture
def live(mounted: MountedConfigMap) -> LiveSettings:
    """What is read from them."""
    return LiveSettings(SETTINGS, mounted.env())
