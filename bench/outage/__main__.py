"""Take the API server away for ten minutes while jobs wait, render and end, and see what is left: `make drill-outage`.

Everything is real but the weights, as in `make chaos`. Writes bench/results/outage.json and the table of it in
docs/failures.md, and ends with 1 if anything at all went wrong.
"""

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench.installed_stack import installed_stack
from bench.machine import CLUSTER, machine
from bench.outage import page, scene
from bench.outage.drill import run
from bench.outage.page import RESULT

from videojob_local.binaries import ensure_binaries
from videojob_local.interruptions import interruptions


def main() -> None:
    """Run once and write the result."""
    parser = argparse.ArgumentParser(prog="make drill-outage", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="of the outage (default: 600)")
    parser.add_argument("--output", type=Path, default=RESULT)
    parser.add_argument("--note", default="", help="on the machine, for the result")
    arguments = parser.parse_args()
    told = {"note": arguments.note} if arguments.note else {}
    where = machine("kopf", "aiohttp", **CLUSTER, **told)  # before: the commit of what runs
    with (
        interruptions.heard(),
        tempfile.TemporaryDirectory(prefix="videojob-outage-", ignore_cleanup_errors=True) as folder,
        installed_stack(Path(folder) / "stack", ensure_binaries(), scene.NAMESPACE, scene.prepare) as (stack, url),
    ):
        outcome = run(stack, url, arguments.seconds)
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": where,
        "faults": outcome.faults,
        **outcome.figures,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    if arguments.output == RESULT:
        page.write(report)
    if outcome.faults:
        sys.exit(f"outage: {len(outcome.faults)} faults")


if __name__ == "__main__":
    main()
