"""What `videojob-local images` does and prints."""

import time

from videojob_local.errors import LocalError
from videojob_local.images.base import ensure_base
from videojob_local.images.bill import write_bill
from videojob_local.images.build import PARTS, build, over_budget
from videojob_local.images.engine import find_engine


def images(registry: str, tag: str | None) -> None:
    """Build the three images, write their bills of materials, and say what they weigh.

    Raises:
        LocalError: a build failed, or an image is heavier than it may be.
    """
    engine = find_engine()
    print(f"Building with {engine.program} on {(base := ensure_base(engine))} …", flush=True)
    built = []
    for part in PARTS:
        began = time.monotonic()
        image = build(engine, part, base, registry=registry, tag=tag)
        print(f"  {image.name}  {image.size_bytes / 1e6:.0f} MB  {time.monotonic() - began:.0f} s  sha256:{image.id}")
        print(f"    bill of materials: {write_bill(part)}", flush=True)
        built.append(image)
    if heavy := over_budget(built):
        raise LocalError("; ".join(heavy))
