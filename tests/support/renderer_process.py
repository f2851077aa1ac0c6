"""The renderer as the kubelet runs it: a process with an environment, a folder of its own and an exit code."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from videojob.resolve import ResolvedRequest

UID = "4b5e1a70-0000-4000-8000-000000000001"


class RendererProcess:
    """One run of the renderer.

    Args:
        folder: for its files; must exist.
        environ: variables over the plain ones.
        wrapper: a command that runs the renderer in its own place.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str], wrapper: Sequence[str] = ()) -> None:
        self.termination_log = folder / "termination.log"
        self.output = folder / "output.log"
        self.scratch = folder / "tmp"
        self.scratch.mkdir()
        plain = {name: os.environ[name] for name in ("PATH", "PYTHONPYCACHEPREFIX") if name in os.environ}
        files = {
            "TMPDIR": str(self.scratch),
            "HOME": str(folder),
            "VIDEOJOB_TERMINATION_LOG": str(self.termination_log),
        }
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                [*wrapper, sys.executable, "-m", "videojob_renderer"],
                env=plain | files | dict(environ),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait(self, seconds: float = 280) -> int:
        """Wait for the end and return the exit code."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"the renderer did not end within {seconds} s:\n{self.text}") from None

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL, as a node that is lost or the kernel's out-of-memory killer would."""
        self._process.kill()

    def wait_until(self, condition: Callable[[], object], what: str, seconds: float = 240) -> None:
        """Wait until a condition holds while the renderer runs."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self._process.poll() is None, f"the renderer ended before {what}:\n{self.text}"
            if time.monotonic() > deadline:
                self._process.kill()
                raise AssertionError(f"no {what} within {seconds} s:\n{self.text}")
            time.sleep(0.02)

    @property
    def text(self) -> str:
        """All it has printed."""
        return self.output.read_text()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its log lines."""
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def last_words(self) -> dict[str, Any]:
        """Its termination message."""
        words: dict[str, Any] = json.loads(self.termination_log.read_text())
        return words


def environment(
    request: ResolvedRequest, *, api_port: int, token_dir: Path, storage: Mapping[str, str], bucket: str = "videos"
) -> dict[str, str]:
    """Return what the operator sets."""
    return {
        "VIDEOJOB_NAME": "squirrel",
        "VIDEOJOB_NAMESPACE": "studio",
        "VIDEOJOB_UID": UID,
        "VIDEOJOB_POD_NAME": "squirrel-x7k2p",
        "VIDEOJOB_REQUEST": request.model_dump_json(by_alias=True),
        "VIDEOJOB_TOKEN_DIR": str(token_dir),
        "VIDEOJOB_S3_BUCKET": bucket,
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(api_port),
        **storage,
    }
