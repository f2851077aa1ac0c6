"""Measure the renderer on the CPU with tiny weights and write bench/results/renderer.json: `make bench-renderer`.

Figures of a GPU are the business of bench/gpu.py. Here is what costs the same whatever the weights are: what is left to
do after the last step, the price of our own loop, where the seconds of a whole process go, and memory. Each part runs
as a process of its own, so that its peak of memory is its own.
"""

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.machine import ROOT, machine
from bench.renderer.parts import PARTS

Figures = dict[str, Any]

RESULT = ROOT / "bench/results/renderer.json"
NOTE = "a shared machine: other work may have run beside; load_average_before stands with each part"


def measure() -> Figures:
    """Run all parts, each with what the earlier ones left in the folder."""
    results: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in PARTS:
            before = os.getloadavg()[0]
            argv = [sys.executable, "-m", "bench.renderer", name, folder]
            told = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
            results[name] = json.loads(told.splitlines()[-1]) | {"load_average_before": round(before, 1)}
            print(f"{name}: {json.dumps(results[name])}", file=sys.stderr, flush=True)
    return results


def judge(results: Figures) -> list[Figures]:
    """Compare the figures with the targets."""
    ours, stock = results["tail"], results["stock_tail"]
    rows = (
        ("seconds from the last frame to the files, 49 frames 480x720", ours["seconds"], 0.7),
        ("the same, as a share of diffusers' export_to_video", round(ours["seconds"] / stock["seconds"], 3), 0.5),
        ("CPU time of our loop, times pipe()", results["loop"]["cpu_ratio"], 1.01),
    )
    return [
        {"figure": name, "value": value, "target": f"<= {limit}", "met": value <= limit} for name, value, limit in rows
    ]


def main() -> None:
    """Run one part, or all of them."""
    if len(sys.argv) == 3:
        print(json.dumps(PARTS[sys.argv[1]](Path(sys.argv[2]))))
        return
    results = measure()
    told = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine("torch", "diffusers", "transformers", "imageio-ffmpeg", note=NOTE),
        "targets": judge(results),
        "parts": results,
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(told, indent=2) + "\n")
    print(json.dumps(told["targets"], indent=2))


if __name__ == "__main__":
    main()
