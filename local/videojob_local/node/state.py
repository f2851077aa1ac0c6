"""The node's folder: one sub-folder a Pod, a lock, and the processes of an agent that was killed.

An agent cannot wait for processes that are not its children, so whatever a former agent left running is ended before
anything else, and its Pods are reported as failed by disruption.
"""

import fcntl
import json
import logging
import shutil
from pathlib import Path
from typing import Self

from videojob_local.node.errors import StateInUse
from videojob_local.node.process import birth, kill_group, kill_marked

log = logging.getLogger(__name__)


class StateFolder:
    """The folder of one node; locked for as long as the value lives."""

    def __init__(self, path: Path) -> None:
        """Make the folder where it is missing, and lock it.

        Raises:
            StateInUse: another agent works here; two would kill each other's Pods.
        """
        self.pods = path.resolve() / "pods"
        self.pods.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = (path / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise StateInUse(f"another process node works in {path}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def folder(self, uid: str) -> Path:
        """Return the folder of one Pod."""
        return self.pods / uid

    def remember(self, folder: Path, pid: int) -> None:
        """Write down the process of a Pod, for the next agent."""
        (folder / "process.json").write_text(json.dumps({"pid": pid, "birth": birth(pid)}))

    def forget(self, folder: Path) -> None:
        """Strike out the process of a Pod: it has ended and was reported."""
        (folder / "process.json").unlink(missing_ok=True)

    def remembers(self, folder: Path) -> bool:
        """Tell whether a former agent had a process of this Pod whose end it did not report."""
        return (folder / "process.json").exists()

    def end_orphans(self) -> int:
        """Kill whatever a former agent left running; returns how many processes there were."""
        killed = sum(_kill_recorded(record) for record in self.pods.glob("*/process.json"))
        return killed + kill_marked(f"{self.pods}/")

    def keep_only(self, uids: set[str]) -> None:
        """Remove the folders of Pods that are not there any more."""
        for folder in self.pods.iterdir():
            if folder.name not in uids:
                shutil.rmtree(folder, ignore_errors=True)


def _kill_recorded(record: Path) -> int:
    """Kill the group of a recorded process, if it still is that process."""
    try:
        known = json.loads(record.read_text())
    except (OSError, ValueError):  # the agent was killed while it wrote
        return 0
    if known["birth"] is None or birth(known["pid"]) != known["birth"]:
        return 0
    kill_group(known["pid"])
    return 1
