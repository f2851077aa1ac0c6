"""The chart as it is rendered: the types that the fixtures hand to the tests."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    """The manifests of one rendering of the chart."""

    manifests: tuple[Manifest, ...]

    def of_kind(self, kind: str) -> list[Manifest]:
        """Return all objects of a kind."""
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def one(self, kind: str, name: str, namespace: str | None = None) -> Manifest:
        """Return the one object of this kind and name."""
        found = [
            manifest
            for manifest in self.of_kind(kind)
            if manifest["metadata"]["name"] == name and namespace in (None, manifest["metadata"].get("namespace"))
        ]
        assert len(found) == 1, f"{len(found)} objects {kind} {name}"
        return found[0]

    def pod_spec(self, name: str) -> Manifest:
        """Return the pod spec of a Deployment."""
        spec: Manifest = self.one("Deployment", name)["spec"]["template"]["spec"]
        return spec

    def environment(self, name: str) -> dict[str, str]:
        """Return the plain environment variables of a Deployment's container."""
        return {entry["name"]: entry["value"] for entry in self.pod_spec(name)["containers"][0]["env"]}


class Helm(Protocol):
    """Run helm with these arguments."""

    def __call__(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]: ...


class Render(Protocol):
    """Render the chart with values (`a__b=c` stands for `--set a.b=c`) and further arguments."""

    def __call__(self, *arguments: str | Path, **values: str) -> Rendered: ...
