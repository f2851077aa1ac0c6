"""The search for prompts in everything that any process of the tests has said: parts of the stack, pods, renderers.

Nearly every test asks for a video of "a squirrel", and nothing but a prompt says that: jobs are called `squirrel`. So
each test of the suite is a test of this as well.
"""

import contextlib
import threading
from glob import glob
from pathlib import Path
from typing import Self

MARKER = b"a squirrel"
"""In lower case: some prompts begin with it."""

_POLL_SECONDS = 0.1


def assert_no_prompt_in(folder: Path) -> None:
    """Fail if a log anywhere below the folder holds a prompt."""
    logs = [path for path in folder.rglob("*.log") if not path.is_symlink()]
    told = [str(path.relative_to(folder)) for path in logs if MARKER in path.read_bytes().lower()]
    assert told == [], f"a prompt stands in {', '.join(told)}, below {folder}"


class LogKeeper:
    """Keeps the logs of a stack, which go with it and with each pod, by a second link to each file; a context manager.

    A pod that is made and deleted within a tenth of a second may be missed.

    Args:
        state: the folder of the stack.
        kept: where the links go, on the same disk.
    """

    def __init__(self, state: Path, kept: Path) -> None:
        self._state = state
        self._kept = kept
        self._known: set[tuple[Path, int]] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-keeper")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._keep()

    def _run(self) -> None:
        while not self._ended.wait(_POLL_SECONDS):
            self._keep()

    def _keep(self) -> None:
        for log in self._logs():
            with contextlib.suppress(FileNotFoundError):  # its pod was deleted meanwhile
                known = (log, log.stat().st_ino)
                if known not in self._known:
                    name = "-".join(log.relative_to(self._state).parts[:-1])
                    (self._kept / f"{name}-{len(self._known)}-{log.name}").hardlink_to(log)
                    self._known.add(known)

    def _logs(self) -> list[Path]:
        # Not Path.glob, which fails when a folder goes while it looks, as that of a deleted pod does.
        patterns = "logs/*.log", "*/pods/*/logs/*/*.log"
        return [Path(found) for pattern in patterns for found in glob(f"{self._state}/{pattern}")]  # noqa: PTH207
