"""Volumes as folders of the Pod: emptyDir, configMap, secret, downwardAPI, projected; and hostPath.

A folder is made after all that goes into it has been fetched, so one that is there is complete. Sizes, media and
read-only mounts are not enforced, and a ConfigMap that changes later does not change its files.
"""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from videojob_local.node.downward import field_value, resource_value
from videojob_local.node.errors import ApiError, NotReadyYet
from videojob_local.node.manifest import Manifest
from videojob_local.node.pod_run import PodRun
from videojob_local.node.sources import Sources
from videojob_local.node.tokens import Token, TokenMinter
from videojob_local.node.validation import VOLUME_KINDS

_DEFAULT_MODE = 0o644
_MISSING = (403, 404)


@dataclass(frozen=True, slots=True)
class Renewal:
    """A token that must be renewed, and the source it was minted for."""

    source: Manifest
    token: Token


@dataclass(frozen=True, slots=True)
class VolumeFile:
    """Content and mode of one file in a volume; a token's with what it takes to renew it."""

    content: bytes
    mode: int = _DEFAULT_MODE
    renewal: Renewal | None = None


class Volumes:
    """Makes the volumes of Pods."""

    def __init__(self, sources: Sources, tokens: TokenMinter, address: str, capacity: Mapping[str, str]) -> None:
        self._sources = sources
        self._tokens = tokens
        self._address = address
        self._capacity = capacity

    async def path(self, run: PodRun, volume: Manifest) -> Path:
        """Return the real path of a volume; make it on first use.

        Raises:
            NotReadyYet: something that goes into it is not there (the kubelet's FailedMount).
        """
        if "hostPath" in volume:
            return _host_path(volume["hostPath"])
        root: Path = run.folder / "volumes" / volume["name"]
        if volume["name"] not in run.volumes:
            kind = next(kind for kind in VOLUME_KINDS if kind in volume)
            files = await self._files(run, volume["name"], _sources(kind, volume[kind]))
            _fill(root, files)
            self._keep_fresh(run, root, files)
            run.volumes.add(volume["name"])
        return root

    def _keep_fresh(self, run: PodRun, root: Path, files: Mapping[str, VolumeFile]) -> None:
        for path, file in files.items():
            if file.renewal:
                write = partial(_write_token, root / path)
                refreshing = self._tokens.keep_fresh(run.pod, file.renewal.source, file.renewal.token, write)
                run.companions.append(asyncio.create_task(refreshing))

    async def _files(self, run: PodRun, name: str, sources: list[Manifest]) -> dict[str, VolumeFile]:
        try:
            found = [await self._source(run, source) for source in sources]
        except ApiError as error:
            if error.status not in _MISSING:
                raise
            message = f'MountVolume.SetUp failed for volume "{name}": {error.message}'
            raise NotReadyYet("ContainerCreating", message) from error
        return {path: file for files in found for path, file in files.items()}

    async def _source(self, run: PodRun, source: Manifest) -> dict[str, VolumeFile]:
        """The files of one source of a projected volume."""
        kind, reference = next((kind, value) for kind, value in source.items() if value is not None)
        if kind == "serviceAccountToken":
            token = await self._tokens.mint(run.pod, reference)
            return {reference["path"]: VolumeFile(token.text, renewal=Renewal(reference, token))}
        if kind == "downwardAPI":
            return {item["path"]: self._downward(run, reference, item) for item in reference.get("items", [])}
        data = await self._sources.read(run.namespace, kind, reference, binary=True)
        return _selected(data, reference)

    def _downward(self, run: PodRun, reference: Manifest, item: Manifest) -> VolumeFile:
        mode: int = item.get("mode") or reference.get("defaultMode", _DEFAULT_MODE)
        if "fieldRef" in item:
            value = field_value(run.pod, item["fieldRef"]["fieldPath"], self._address)
        else:
            value = resource_value(run.pod, item["resourceFieldRef"], None, self._capacity)
        return VolumeFile(value.encode(), mode)


def _fill(root: Path, files: Mapping[str, VolumeFile]) -> None:
    shutil.rmtree(root, ignore_errors=True)  # of an agent that was killed before it started the container
    root.mkdir(parents=True, mode=0o700)
    for path, file in files.items():
        write_file(root / path, file)


def write_file(path: Path, file: VolumeFile) -> None:
    """Write a file whole or not at all, for this user only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.touch(mode=0o600)
    part.write_bytes(file.content)
    part.chmod(0o600 | (file.mode & 0o100))
    part.replace(path)


def _write_token(path: Path, text: bytes) -> None:
    write_file(path, VolumeFile(text))


def _sources(kind: str, volume: Manifest) -> list[Manifest]:
    match kind:
        case "emptyDir":
            return []
        case "projected":
            mode = {"defaultMode": volume["defaultMode"]} if "defaultMode" in volume else {}
            return [{kind: {**mode, **value} for kind, value in source.items()} for source in volume["sources"]]
    return [{kind: volume}]


def _selected(data: dict[str, bytes], reference: Manifest) -> dict[str, VolumeFile]:
    """All keys, or those that `items` names, at the paths it gives them."""
    default = reference.get("defaultMode", _DEFAULT_MODE)
    if "items" not in reference:
        return {key: VolumeFile(content, default) for key, content in data.items()}
    selected = {}
    for item in reference["items"]:
        if item["key"] in data:
            selected[item["path"]] = VolumeFile(data[item["key"]], item.get("mode", default))
        elif not reference.get("optional"):
            raise NotReadyYet("ContainerCreating", f"references non-existent config key: {item['key']}")
    return selected


def _host_path(volume: Manifest) -> Path:
    path, kind = Path(volume["path"]), volume.get("type", "")
    if kind == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    elif kind == "FileOrCreate":
        path.touch()
    elif (kind == "Directory" and not path.is_dir()) or (kind == "File" and not path.is_file()):
        raise NotReadyYet("ContainerCreating", f"hostPath type check failed: {path} is not a {kind.lower()}")
    return path
