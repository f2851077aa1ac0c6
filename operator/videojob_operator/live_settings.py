"""Read catalogue and profiles again when their files change, without a restart.

A ConfigMap that is mounted changes by the swap of a symbolic link, so the file is another one under the same path. A
file that cannot be used changes nothing: the last good one stays in use, and the log says so once.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from videojob import environment
from videojob.catalogue import Catalogue
from videojob.errors import ConfigurationError
from videojob_operator.settings import Settings, read_profiles

LOOK_SECONDS = 2.0

log = logging.getLogger(__name__)

Stamp = tuple[int, ...] | None


class LiveSettings:
    """The settings as they are now.

    Args:
        settings: as read at the start.
        env: names the two files.

    Attributes:
        current: the last good ones.
        trouble: why the files as they are now are not in use; None where they are.
    """

    def __init__(self, settings: Settings, env: Mapping[str, str]) -> None:
        self.current = settings
        self.trouble: str | None = None
        self._catalogue, self._profiles = Path(env[environment.CATALOGUE]), Path(env[environment.PROFILES])
        self._seen = self._stamps()

    async def watch(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.refresh()

    def refresh(self) -> None:
        """Look once."""
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            catalogue, profiles = Catalogue.read(self._catalogue), read_profiles(self._profiles)
        except ConfigurationError as error:
            self.trouble = str(error)
            log.error("a settings file cannot be used; the last good ones stay", extra={"error": str(error)})  # noqa: TRY400
            return
        self.current, self.trouble = replace(self.current, catalogue=catalogue, profiles=profiles), None
        log.info("settings read again", extra={"profiles": sorted(profiles), "models": sorted(catalogue.models)})

    def _stamps(self) -> tuple[Stamp, Stamp]:
        return _stamp(self._catalogue), _stamp(self._profiles)


def _stamp(path: Path) -> Stamp:
    """Tell one content of a path from another, without reading it; None while there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
