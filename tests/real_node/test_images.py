"""The three images as they come out of the Dockerfiles: small enough, the same twice, and cheap to change."""

import json
import shutil
from pathlib import Path

import pytest
from cluster import ROOT

from videojob_local.images.build import Image, build, layers, over_budget, release_version, revision
from videojob_local.images.engine import Engine

pytestmark = [pytest.mark.timeout(1800)]

CODE_BYTES = 2 * 10**6
"""The most that a change of our own code may make a node pull."""


@pytest.fixture(params=["operator", "api", "renderer"])
def image(request: pytest.FixtureRequest, images: dict[str, Image]) -> Image:
    return images[str(request.param)]


def configuration(engine: Engine, image: Image) -> dict[str, object]:
    found: dict[str, object] = json.loads(engine.run("image", "inspect", image.name))[0]["Config"]
    return found


def test_they_stay_within_their_budgets(images: dict[str, Image]) -> None:
    assert over_budget(images.values()) == []


def test_they_say_what_they_are_and_run_as_nobody(engine: Engine, base: str, image: Image) -> None:
    found = configuration(engine, image)
    assert found["User"] == "65532:65532"
    assert found["Entrypoint"] == ["/opt/venv/bin/python", "-m", f"videojob_{image.part}"]
    labels = found["Labels"]
    assert isinstance(labels, dict)
    assert labels["org.opencontainers.image.title"] == f"videojob-{image.part}"
    assert labels["org.opencontainers.image.version"] == release_version()
    assert labels["org.opencontainers.image.revision"] == revision()
    assert labels["org.opencontainers.image.base.name"] == base
    assert labels["org.opencontainers.image.base.digest"] == engine.digest(base)


@pytest.mark.parametrize("image", ["operator", "api"], indirect=True)
def test_they_hold_no_compiler_and_no_installer(engine: Engine, image: Image) -> None:
    look = (
        "import importlib.util, shutil; print(shutil.which('gcc'), shutil.which('cc'), importlib.util.find_spec('pip'))"
    )
    said = engine.run("run", "--rm", "--network=none", "--entrypoint=/opt/venv/bin/python", image.name, "-c", look)
    assert said == "None None None"


@pytest.mark.parametrize("image", ["operator", "api"], indirect=True)
def test_two_builds_give_the_same_image(engine: Engine, base: str, image: Image) -> None:
    again = build(engine, image.part, base, registry="localhost", tag="again", fresh=True)
    assert again.id == image.id
    engine.run("image", "rm", again.name)


def test_a_change_of_code_is_a_layer_of_kilobytes(engine: Engine, base: str, image: Image, tmp_path: Path) -> None:
    context = tmp_path / "context"
    for folder in ("crds", image.part, "requirements"):
        shutil.copytree(ROOT / folder, context / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (f"Dockerfile.{image.part}", ".dockerignore"):
        shutil.copy(ROOT / file, context)
    with (context / image.part / f"videojob_{image.part}/__init__.py").open("a") as module:
        module.write("\nCHANGED = True\n")
    changed = build(engine, image.part, base, registry="localhost", tag="changed", context=context)
    old, new = layers(engine, image.name), layers(engine, changed.name)
    assert old[:-1] == new[:-1]
    assert old[-1] != new[-1]
    assert layer_bytes(engine, changed) < CODE_BYTES
    engine.run("image", "rm", changed.name)


def layer_bytes(engine: Engine, image: Image) -> int:
    """Return the size of the topmost layer that holds anything."""
    sizes = (step["size"] for step in json.loads(engine.run("history", "--format=json", image.name)))
    return next(int(size) for size in sizes if size)
