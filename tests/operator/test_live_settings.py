"""A changed settings file is in use soon after; one that cannot be used changes nothing and is told of."""

import pytest
from tests.operator.mounted import MountedConfigMap
from tests.operator.worlds import SETTINGS

from videojob_operator.live_settings import LiveSettings


def test_a_profile_that_is_added_is_known_without_a_restart(mounted: MountedConfigMap) -> None:
    live = LiveSettings(SETTINGS, mounted.env())
    live.refresh()
    assert live.current is SETTINGS, "nothing has changed"
    mounted.write('{"default": {"gpus": 2}, "batch": {"gpus": 1}}')
    live.refresh()
    assert set(live.current.profiles) == {"default", "batch"}
    assert live.current.profiles["default"].gpus == 2
    assert live.current.renderer_image == SETTINGS.renderer_image


@pytest.mark.parametrize("broken", ["{", '{"default": {"gpu": 1}}'])
def test_a_broken_file_leaves_the_last_good_one_in_use_and_is_told_of_once(
    mounted: MountedConfigMap, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    live = LiveSettings(SETTINGS, mounted.env())
    mounted.write(broken)
    live.refresh()
    live.refresh()
    assert live.current is SETTINGS
    assert "profiles" in (live.trouble or "")
    assert len([record for record in caplog.records if "last good ones stay" in record.message]) == 1
    mounted.write('{"default": {"gpus": 4}}')
    live.refresh()
    assert live.trouble is None
    assert live.current.profiles["default"].gpus == 4


def test_a_file_that_is_gone_for_a_moment_changes_nothing(mounted: MountedConfigMap) -> None:
    live = LiveSettings(SETTINGS, mounted.env())
    (mounted.folder / "profiles.json").unlink()
    live.refresh()
    assert live.current is SETTINGS
    assert live.trouble
