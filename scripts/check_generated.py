"""Fail when a generated file differs from what its generator writes now; name the command that mends it."""

import shutil
import subprocess
import sys
from pathlib import Path

import chart_readme
import reasons_page

from videojob import crd

ROOT = Path(__file__).resolve().parent.parent
CRD_COPIES = ("crds/videojobs.yaml", "charts/videojob/files/crd.yaml")
IMAGES = ("operator", "renderer", "api")


def export_requirements(image: str) -> str:
    """Return the hashed requirements of an image as uv.lock has them."""
    uv = shutil.which("uv") or str(ROOT / ".uv/bin/uv")
    command = [uv, "export", "--quiet", "--frozen", "--no-dev", "--no-emit-workspace", "--no-header"]
    command += ["--package", f"videojob-{image}", "--format", "requirements-txt"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def stale_files() -> list[str]:
    """Return one sentence for each generated file that is out of date."""
    stale = [f"{path}: run `make crds`" for path in CRD_COPIES if (ROOT / path).read_text() != crd.render()]
    if reasons_page.PAGE.read_text() != reasons_page.render():
        stale.append("docs/reasons.md: run `make docs`")
    if chart_readme.PAGE.read_text() != chart_readme.render():
        stale.append("charts/videojob/README.md: run `make docs`")
    for image in IMAGES:
        path = ROOT / f"requirements/{image}.txt"
        if not path.exists() or path.read_text() != export_requirements(image):
            stale.append(f"{path.relative_to(ROOT)}: run `make lock`")
    return stale


if __name__ == "__main__":
    found = stale_files()
    for sentence in found:
        print("out of date:", sentence, file=sys.stderr)
    sys.exit(bool(found))
