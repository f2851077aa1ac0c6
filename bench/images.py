"""Build each image anew beside the one that is there, and write bench/results/images.json: `make bench-images`.

Equal sources on an equal base must give an equal id, whoever builds; and what a build takes and weighs is for those who
run their own registry. Ends with 1 where two builds of one image differ.
"""

import argparse
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.machine import ROOT, machine

from videojob_local.images.base import ensure_base
from videojob_local.images.build import PARTS, build
from videojob_local.images.engine import Engine, find_engine

RESULT = ROOT / "bench/results/images.json"


def measure(engine: Engine, part: str, base: str) -> dict[str, Any]:
    """Build an image from what earlier builds left, and once more from nothing but the base."""
    image = build(engine, part, base, tag="bench")
    began = time.monotonic()
    again = build(engine, part, base, tag="bench-again", fresh=True)
    seconds = time.monotonic() - began
    for name in (image.name, again.name):
        engine.run("image", "rm", name)
    return {
        "megabytes": round(again.size_bytes / 1e6),
        "seconds_of_a_build_without_cache": round(seconds),
        "two_builds_have_the_same_id": image.id == again.id,
    }


def main() -> None:
    """Build all and write the result."""
    parser = argparse.ArgumentParser(prog="make bench-images", description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    before = os.getloadavg()[0]
    engine = find_engine()
    base = ensure_base(engine)
    images = {part: measure(engine, part, base) for part in PARTS}
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(engine=Path(engine.program).name, load_average_before=round(before, 1)),
        "images": images,
    }
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(images, indent=2))
    sys.exit(0 if all(image["two_builds_have_the_same_id"] for image in images.values()) else 1)


if __name__ == "__main__":
    main()
