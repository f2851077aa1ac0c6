"""The account of a run: one JSON file, written anew after each measurement, so that a run that is cut short counts.

A measurement that fails is recorded with its error, and one for which no time is left as skipped: the first run on a
rented GPU must not end at the first surprise.
"""

import json
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Record:
    """What was measured so far.

    Args:
        file: takes it.
        budget_seconds: after which nothing new is begun.
        skip: leaves out measurements whose name holds one of these words.
    """

    def __init__(self, file: Path, budget_seconds: float, skip: tuple[str, ...] = ()) -> None:
        self._file = file
        self._skip = skip
        self._started_seconds = time.monotonic()
        self._budget_seconds = budget_seconds
        self.content: dict[str, Any] = {"budget_seconds": budget_seconds, "measurements": {}}

    def measure(self, name: str, run: Callable[[], Any], *, needs_seconds: float = 0.0) -> Any:
        """Run a measurement and record what it returns; None if it failed or was skipped.

        Args:
            name: `model/section`, unique.
            run: returns JSON values.
            needs_seconds: skip it if less is left.
        """
        if any(word in name for word in self._skip):
            self._put(name, {"skipped": "as told"})
            return None
        left_seconds = self.left_seconds
        if left_seconds < needs_seconds or left_seconds <= 0:
            self._put(name, {"skipped": f"{left_seconds:.0f} s left, about {needs_seconds:.0f} s needed"})
            return None
        begun_seconds = time.monotonic()
        try:
            result = run()
        except Exception as error:  # noqa: BLE001 - the other measurements are worth having
            place = traceback.extract_tb(error.__traceback__)[-1]
            at = f"{Path(place.filename).name}:{place.lineno}"
            self._put(name, {"error": f"{type(error).__name__}: {str(error)[:500]}", "at": at})
            return None
        self._put(name, result, seconds=round(time.monotonic() - begun_seconds, 2))
        return result

    @property
    def left_seconds(self) -> float:
        """Seconds of the budget that are left."""
        return self._budget_seconds - (time.monotonic() - self._started_seconds)

    def write(self, **fields: Any) -> None:
        """Add fields to the head of the record and write it."""
        self.content |= fields
        self.content["total_seconds"] = round(time.monotonic() - self._started_seconds, 1)
        temporary = self._file.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.content, indent=1, default=str) + "\n")
        temporary.replace(self._file)

    def _put(self, name: str, result: Any, *, seconds: float | None = None) -> None:
        value = {"result": result, "took_seconds": seconds} if seconds is not None else result
        self.content["measurements"][name] = value
        self.write()
        print(f"[{self.content['total_seconds']:7.1f} s] {name}: {json.dumps(result, default=str)[:300]}", flush=True)
