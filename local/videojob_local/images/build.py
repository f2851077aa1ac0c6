"""Build the three images as a release does: by the Dockerfiles at the top of the repository, all times set to zero.

With every time at zero, hashed locks and hashed bytecode, the same sources give the same image id, whoever builds.
What changes with every commit is a label, added to the Dockerfile as its last line and as plain text: podman would take
a label with an ARG in it out of its cache, with the value of an earlier build.
"""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from videojob_local.images.base import STAND_IN
from videojob_local.images.engine import Engine
from videojob_local.paths import REPOSITORY

PARTS = ("operator", "api", "renderer")

BUDGET_BYTES = {"operator": 340 * 10**6, "api": 480 * 10**6, "renderer": 6_500 * 10**6}
"""What an image may weigh, uncompressed. The base is 200 MB of each; torch with CUDA is 5 GB of the renderer."""


@dataclass(frozen=True, slots=True)
class Image:
    """A built image.

    Attributes:
        part: operator, api or renderer.
        name: with its tag.
        id: hash of configuration and layers; equal for equal builds.
        size_bytes: uncompressed.
    """

    part: str
    name: str
    id: str
    size_bytes: int


def release_version() -> str:
    """Return the version of this checkout, the default tag of its images."""
    return version("videojob")


def revision() -> str:
    """Return the commit of this checkout, `unknown` where git does not say."""
    try:
        result = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return result.stdout.strip()


def build(
    engine: Engine,
    part: str,
    base: str,
    *,
    registry: str = "",
    tag: str | None = None,
    context: Path = REPOSITORY,
    fresh: bool = False,
) -> Image:
    """Build one image.

    Args:
        engine: docker or podman.
        part: operator, api or renderer.
        base: the Python image; see `ensure_base`.
        registry: put before the name, such as `registry.example.com/video`.
        tag: of the name; None = the version.
        context: folder with the sources and the Dockerfile.
        fresh: use no layer of an earlier build.

    Raises:
        ProgramFailed: with the last words of the build.
    """
    name = f"{registry.rstrip('/') + '/' if registry else ''}videojob-{part}:{tag or release_version()}"
    cache = ["--no-cache"] if fresh else []
    dockerfile = (context / f"Dockerfile.{part}").read_text() + _labels(base, engine.digest(base))
    engine.run(*_options(engine, base), *cache, f"--tag={name}", ".", cwd=context, stdin=dockerfile)
    size = int(engine.run("image", "inspect", "--format={{.Size}}", name))
    return Image(part, name, engine.image_id(name), size)


def layers(engine: Engine, image: str) -> list[str]:
    """Return the digests of an image's layers, from the base upwards."""
    return engine.run("image", "inspect", "--format={{range .RootFS.Layers}}{{.}} {{end}}", image).split()


def over_budget(images: Iterable[Image]) -> list[str]:
    """Say of each image that weighs more than it may by how much."""
    return [
        f"{image.name} has {image.size_bytes / 1e6:.0f} MB, more than its {BUDGET_BYTES[image.part] / 1e6:.0f} MB"
        for image in images
        if image.size_bytes > BUDGET_BYTES[image.part]
    ]


def _labels(base: str, digest: str | None) -> str:
    """Return the instruction that says which version this is, of which commit, on which base."""
    values = {"version": release_version(), "revision": revision(), "base.name": base}
    if digest:
        values["base.digest"] = digest
    pairs = (f"org.opencontainers.image.{name}={json.dumps(value)}" for name, value in values.items())
    return f"LABEL {' '.join(pairs)}\n"


def _options(engine: Engine, base: str) -> list[str]:
    arguments = {"PYTHON_IMAGE": base}
    if not engine.is_podman:
        arguments["SOURCE_DATE_EPOCH"] = "0"
    at_zero = (
        ["--timestamp=0", "--network=host"] if engine.is_podman else ["--output=type=docker,rewrite-timestamp=true"]
    )
    never = ["--pull=never"] if engine.is_podman and base == STAND_IN else []
    pairs = (f"--build-arg={name}={value}" for name, value in arguments.items())
    return ["build", "--file=-", *at_zero, *never, *pairs]
