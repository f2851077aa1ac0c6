"""LoRA adapters: small changes of a model's weights, added once while it loads.

They are fused into the weights, so a step costs what it costs without them, and whatever comes later (compiling, other
kernels) sees an ordinary model. diffusers loads them; what it lets pass with a warning only is an error here.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videojob.catalogue import Adapter
from videojob_renderer.errors import WeightsUnavailable
from videojob_renderer.hub import download_file

_SUFFIX = ".safetensors"


def locate_adapters(adapters: Mapping[str, Adapter]) -> dict[str, Path]:
    """Return the file of each adapter.

    Raises:
        WeightsUnavailable: one is not there, or cannot be fetched.
    """
    return {name: _locate(name, adapter) for name, adapter in adapters.items()}


def fuse_adapters(pipeline: Any, adapters: Mapping[str, Adapter], files: Mapping[str, Path]) -> None:
    """Add adapters to the transformer of a pipeline, each with its weight.

    Args:
        pipeline: a loaded pipeline of diffusers.
        adapters: name -> what the catalogue says of it.
        files: name -> where it is.

    Raises:
        WeightsUnavailable: one is damaged, or is none for this model.
    """
    for name, file in files.items():
        _load(pipeline, name, file)
    names = [*adapters]
    pipeline.set_adapters(names, [adapters[name].weight for name in names])
    pipeline.fuse_lora(adapter_names=names)
    pipeline.unload_lora_weights()  # the sums stay, the summands are no longer needed


def _locate(name: str, adapter: Adapter) -> Path:
    path = Path(adapter.source)
    if not path.is_absolute():
        return download_file(adapter.source, adapter.file or "", adapter.revision)
    if adapter.file:
        path /= adapter.file
    elif path.is_dir():
        path = _only_file(name, path)
    if not path.is_file():
        raise WeightsUnavailable(f"the adapter {name} lacks the file {path}")
    return path


def _only_file(name: str, folder: Path) -> Path:
    files = sorted(folder.glob(f"*{_SUFFIX}"))
    if len(files) != 1:
        raise WeightsUnavailable(
            f"the adapter {name} needs one *{_SUFFIX} in {folder}, or its `file` in the catalogue; there are {len(files)}"
        )
    return files[0]


def _load(pipeline: Any, name: str, file: Path) -> None:
    options = {"weight_name": file.name, "adapter_name": name, "local_files_only": True, "use_safetensors": True}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config`")  # several adapters are meant
            pipeline.load_lora_weights(file.parent, **options)
    except Exception as error:  # peft, safetensors and torch raise a dozen classes here
        told = str(error).strip().partition("\n")[0] or type(error).__name__
        raise WeightsUnavailable(f"the adapter {name} in {file} does not fit this model: {told}") from error
    if name not in pipeline.get_list_adapters().get("transformer", []):
        raise WeightsUnavailable(f"the adapter {name} in {file} has no layers for this model's transformer")
