"""Finds what is wrong with a model folder, because the libraries seldom name the file.

Some faults they do not even see: a tokenizer without a vocabulary knows no word, and tensors that no file holds get
random numbers.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open

_INDEX = "model_index.json"
_SHARDS = "*.safetensors.index.json"


def first_fault(folder: Path) -> str | None:
    """Return a sentence about the first missing or damaged file of a model folder; None where all look sound."""
    index = folder / _INDEX
    if not index.is_file():
        return f"{folder} is no diffusers model: it has no {_INDEX}"
    try:
        components = _components(index)
    except (ValueError, OSError) as error:
        return f"{index} cannot be read: {error}"
    for name in components:
        if fault := _fault_of_component(folder / name):
            return fault
    return None


def has_vocabulary(tokenizer: Path) -> bool:
    """Tell whether the folder of a tokenizer holds the words it knows, in either of T5's file formats."""
    return any((tokenizer / name).is_file() for name in ("spiece.model", "tokenizer.json"))


def first_missing_tensor(folder: Path, names: Iterable[str]) -> str | None:
    """Return the first of the tensors that no file of the folder holds."""
    stored: set[str] = set()
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="np") as opened:
            stored.update(opened.keys())
    return next((name for name in names if stored and name not in stored), None)


def _components(index: Path) -> list[str]:
    """The entries of the form `"vae": ["diffusers", "AutoencoderKLCogVideoX"]`; [null, null] is one left out."""
    entries = json.loads(index.read_text())
    return [name for name, value in entries.items() if isinstance(value, list) and value and value[0]]


def _fault_of_component(folder: Path) -> str | None:
    if not folder.is_dir():
        return f"the model lacks the folder {folder}"
    try:
        configs = [file for file in folder.glob("*.json") if json.loads(file.read_text()) is None]
    except (ValueError, OSError) as error:
        return f"a JSON file of {folder} cannot be read: {error}"
    if configs:
        return f"{configs[0]} is empty"
    if (folder / "config.json").is_file() and not any(folder.glob("*.safetensors")):
        return f"the model lacks the weights of {folder}: there is no *.safetensors"
    return _missing_shard(folder) or _damaged_file(folder)


def _missing_shard(folder: Path) -> str | None:
    for index in folder.glob(_SHARDS):
        names = set(json.loads(index.read_text())["weight_map"].values())
        if missing := sorted(name for name in names if not (folder / name).is_file()):
            return f"the model lacks the file {folder / missing[0]}"
    return None


def _damaged_file(folder: Path) -> str | None:
    for file in sorted(folder.glob("*.safetensors")):
        if not os.access(file, os.R_OK):
            return f"{file} cannot be read by user {os.getuid()}: save_pretrained writes mode 0600; chmod a+r it"
        try:
            with safe_open(file, framework="np"):
                pass  # opening checks the header against the file's length
        except (SafetensorError, OSError) as error:
            return f"{file} is damaged: {error}"
    return None
