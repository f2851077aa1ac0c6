"""Kill at random whatever can be killed while 300 videos are rendered, and see what is left: `make chaos`.

Everything is real: control plane, S3 server, operator, API, renderers; only the weights are tiny. Writes
bench/results/chaos.json and ends with 1 if anything at all went wrong.
"""

import argparse
import json
import secrets
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench.chaos.run import Size, run
from bench.installed_stack import installed_stack
from bench.machine import CLUSTER, ROOT, machine

from videojob_local.binaries import ensure_binaries
from videojob_local.interruptions import interruptions

RESULT = ROOT / "bench/results/chaos.json"


def main() -> None:
    """Run once and write the result."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of orders and blows")
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    print(f"chaos with seed {arguments.seed}", flush=True)
    size = Size(
        jobs=arguments.jobs,
        blows=arguments.jobs,
        order_pause_seconds=1.0,
        blow_pause_seconds=20.0,
        patience_seconds=1800 + 20.0 * arguments.jobs,
    )
    with (
        interruptions.heard(),
        tempfile.TemporaryDirectory(prefix="videojob-chaos-", ignore_cleanup_errors=True) as folder,
        installed_stack(Path(folder) / "stack", ensure_binaries()) as (stack, url),
    ):
        outcome = run(stack, url, arguments.seed, size)
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(**CLUSTER),
        "seed": arguments.seed,
        "faults": outcome.faults,
        **outcome.figures,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    print("\n".join(outcome.log))
    print(json.dumps(report, indent=2))
    if outcome.faults:
        sys.exit(f"chaos: {len(outcome.faults)} faults, with seed {arguments.seed}")


if __name__ == "__main__":
    main()
