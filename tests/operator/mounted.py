"""Settings files as a kubelet mounts them from a ConfigMap."""

import json
import os
from pathlib import Path

from tests.operator.worlds import SETTINGS

CATALOGUE = json.dumps(SETTINGS.catalogue.dump())


class MountedConfigMap:
    """Files as a kubelet mounts them: links into a folder that is swapped as a whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._versions = 0
        self.write('{"default": {"gpus": 1}}')
        for name in ("catalogue.json", "profiles.json"):
            (folder / name).symlink_to(Path("..data") / name)

    def write(self, profiles: str) -> None:
        self._versions += 1
        version = self.folder / f"..{self._versions}"
        version.mkdir()
        (version / "catalogue.json").write_text(CATALOGUE)
        (version / "profiles.json").write_text(profiles)
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(version.name)
        os.replace(fresh, self.folder / "..data")  # noqa: PTH105 - the kubelet's own way

    def env(self) -> dict[str, str]:
        return {
            "VIDEOJOB_CATALOGUE": str(self.folder / "catalogue.json"),
            "VIDEOJOB_PROFILES": str(self.folder / "profiles.json"),
        }
