"""From what the catalogue says of a model's source to a folder that can be loaded.

With a model cache (VIDEOJOB_MODEL_CACHE) a staged model is taken as it is, without asking the hub: a hundred pods that
start at once would be refused there. What is not staged yet is staged now, by one pod a cache.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from videojob import environment as variables
from videojob_renderer.errors import WeightsUnavailable
from videojob_renderer.models.cache import ModelCache, StagedModel
from videojob_renderer.models.folder import FolderSource
from videojob_renderer.models.source import Source

_S3 = "s3://"
_NO_KEYS = (
    "This pod has no keys of S3 (storage.rendererAccess=broker): stage the model with weights.fetch, or give the "
    "profile's env keys that may read it"
)


@dataclass(frozen=True, slots=True)
class LocatedModel:
    """A model folder.

    Attributes:
        revision: the commit of a hub repository, or the version of what lies in a bucket; None for a plain folder.
    """

    folder: Path
    revision: str | None


def locate(name: str, revision: str | None, environ: Mapping[str, str] = os.environ) -> LocatedModel:
    """Return the folder of a model, fetching it where it is not on this node.

    Args:
        name: a folder, `s3://BUCKET/PREFIX`, or a hub repository.
        revision: of the hub repository.
        environ: names the model cache, and says whether the hub may be asked.

    Raises:
        WeightsUnavailable: it is not there, or cannot be fetched.
    """
    if at_hand := find(name, revision, environ):
        return at_hand
    root = environ.get(variables.MODEL_CACHE)
    if not root and not name.startswith(_S3):
        return _in_hub_cache(name, revision)
    staged = stage(name, revision, Path(root or Path(tempfile.gettempdir(), "videojob-models")), environ)
    return LocatedModel(staged.folder, staged.version)


def find(name: str, revision: str | None, environ: Mapping[str, str] = os.environ) -> LocatedModel | None:
    """Return the folder of a model that is staged, or of the pod, without asking anybody and without torch.

    What lies in the hub client's own cache only it can tell.
    """
    root = environ.get(variables.MODEL_CACHE)
    if root and (staged := ModelCache(Path(root)).find(name, revision)):
        return LocatedModel(staged.folder, staged.version)
    return LocatedModel(Path(name), None) if name.startswith("/") else None


def stage(name: str, revision: str | None, root: Path, environ: Mapping[str, str] = os.environ) -> StagedModel:
    """Bring a model into the cache as its source has it now.

    Raises:
        WeightsUnavailable: the source has no such model, refuses it or cannot be reached.
        DiskFull: there is no room.
        DiskUnwritable: the cache is not ours to write.
    """
    if is_offline(environ) and not name.startswith((_S3, "/")):
        raise WeightsUnavailable(f"{name} is not in the cache {root}, and HF_HUB_OFFLINE forbids to ask the hub")
    try:
        return ModelCache(root).stage(_source(name, revision))
    except WeightsUnavailable as error:
        if name.startswith(_S3) and environ.get(variables.BROKER_URL):
            raise WeightsUnavailable(f"{error.message}. {_NO_KEYS}") from error
        raise


def is_offline(environ: Mapping[str, str]) -> bool:
    """Tell whether the hub must not be asked, by the hub client's own variable."""
    return environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def _source(name: str, revision: str | None) -> Source:
    if name.startswith("/"):
        return FolderSource(name)
    if name.startswith(_S3):
        from videojob_renderer.models.bucket import BucketSource  # noqa: PLC0415 - boto3 only where it is needed
        from videojob_renderer.storage import ObjectStorage  # noqa: PLC0415

        return BucketSource(name, ObjectStorage())
    from videojob_renderer.hub import HubSource  # noqa: PLC0415 - likewise the hub's client

    return HubSource(name, revision)


def _in_hub_cache(name: str, revision: str | None) -> LocatedModel:
    """Use the hub client's own cache (HF_HOME): on a person's machine the weights may lie there already."""
    from videojob_renderer.hub import download  # noqa: PLC0415 - imports torch

    folder = download(name, revision)
    return LocatedModel(folder, revision=folder.name)
