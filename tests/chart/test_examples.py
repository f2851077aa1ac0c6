"""The VideoJobs in examples/ are ones the default installation accepts."""

from pathlib import Path

import pytest
import yaml
from tests.chart.rendering import Rendered

from videojob.catalogue import Catalogue
from videojob.resolve import resolve
from videojob.resource import API_VERSION, KIND
from videojob.spec import VideoJobSpec


@pytest.fixture(scope="module")
def catalogue(default: Rendered, tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    file = tmp_path_factory.mktemp("catalogue") / "catalogue.json"
    file.write_text(default.one("ConfigMap", "videojob-config")["data"]["catalogue.json"])
    return Catalogue.read(file)


@pytest.mark.parametrize("name", ["videojob", "videojob-full", "videojob-long", "videojob-queued"])
def test_the_example_is_a_legal_videojob(root: Path, catalogue: Catalogue, name: str) -> None:
    manifest = yaml.safe_load((root / f"examples/{name}.yaml").read_text())
    assert (manifest["apiVersion"], manifest["kind"]) == (API_VERSION, KIND)
    assert resolve(VideoJobSpec.model_validate(manifest["spec"]).request, catalogue)


def test_every_example_is_tested(root: Path) -> None:
    tested = {"videojob", "videojob-full", "videojob-long", "videojob-queued"}
    assert {path.stem for path in (root / "examples").glob("*.yaml")} == tested
