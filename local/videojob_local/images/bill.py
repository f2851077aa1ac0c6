"""The bill of materials of an image (CycloneDX): what its Python environment holds, by the lock it is built from."""

import os
from pathlib import Path

from videojob_local.paths import OUTPUT, REPOSITORY
from videojob_local.programs import find_uv, output_of

FORMAT = "cyclonedx1.5"


def write_bill(part: str, folder: Path = OUTPUT / "sbom") -> Path:
    """Write the bill of one image and return its path.

    Raises:
        ToolMissing: uv is not there.
        ProgramFailed: the lock does not fit the distributions any more.
    """
    path = folder / f"videojob-{part}.cdx.json"
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--quiet", "--locked", "--no-dev", f"--package=videojob-{part}", f"--format={FORMAT}"]
    environment = dict(os.environ, UV_PREVIEW_FEATURES="sbom-export")
    path.write_text(output_of([find_uv(), "export", *options], cwd=REPOSITORY, env=environment) + "\n")
    return path
