"""What the tests of the chart share: helm, and what the chart renders to for given values.

helm is the one that is built with the local control plane.
"""

import subprocess
from pathlib import Path

import pytest
import yaml
from tests.chart.rendering import Helm, Render, Rendered

from videojob_local.binaries import Binaries

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def helm(binaries: Binaries) -> Helm:
    """Run helm from the root of the repository."""
    program = binaries["helm"]

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )

    return run


@pytest.fixture(scope="session")
def render(helm: Helm) -> Render:
    """Render the chart; fail with helm's own words."""

    def rendered(*arguments: str | Path, **values: str) -> Rendered:
        settings = [f"--set={key.replace('__', '.')}={value}" for key, value in values.items()]
        result = helm("template", "videojob", "charts/videojob", "--namespace=videojob", *settings, *arguments)
        assert result.returncode == 0, result.stderr
        return Rendered(tuple(manifest for manifest in yaml.safe_load_all(result.stdout) if manifest))

    return rendered


@pytest.fixture(scope="session")
def default(render: Render) -> Rendered:
    """Return the chart with its default values."""
    return render()


@pytest.fixture(scope="session")
def full(render: Render) -> Rendered:
    """Return the chart with every optional part switched on."""
    return render("--values=charts/videojob/ci/full-values.yaml")
