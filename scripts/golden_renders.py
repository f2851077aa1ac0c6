"""Write tests/chart/golden: what the chart renders to with its defaults and with each values file of its ci folder.

A checksum annotation is a digest of other lines of the same file, so it is written as `…`. With the digest, two changes
that merge cleanly would still leave a file that no commit had rendered.
"""

import re
import subprocess
from pathlib import Path

from videojob_local.binaries import ensure_binaries

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests/chart/golden"
VALUES = {path.name.removesuffix("-values.yaml"): path for path in (ROOT / "charts/videojob/ci").glob("*-values.yaml")}
CASES = ["default", *sorted(VALUES)]

_CHECKSUM = re.compile(r"(checksum/[a-z]+): [0-9a-f]{64}")


def render(name: str, helm: str) -> str:
    """Return the manifests of one case, the definition of the resource left out: it is compared by itself."""
    values = [f"--values={VALUES[name]}"] if name in VALUES else []
    command = [helm, "template", "videojob", "charts/videojob", "--namespace=videojob", "--set=crds.enabled=false"]
    result = subprocess.run([*command, *values], cwd=ROOT, check=True, capture_output=True, text=True)
    return _CHECKSUM.sub(r"\1: …", result.stdout)


if __name__ == "__main__":
    program = ensure_binaries()["helm"]
    for case in CASES:
        (GOLDEN / f"{case}.yaml").write_text(render(case, str(program)))
