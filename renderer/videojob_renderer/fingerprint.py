"""All that decides the bits of a video, so that a render goes on only from a checkpoint of the very same one.

A fingerprint is a flat mapping of names to short texts: two of them are compared name by name, and what differs can be
told. The prompt goes in as a digest.
"""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from videojob.resolve import ResolvedRequest

Fingerprint = Mapping[str, str]

_PACKAGES = ("videojob-renderer", "torch", "diffusers", "transformers")
_NOT_IN_THE_LATENTS = frozenset({"fps"})  # of the file only
_SPEED = "speed "
_SAMPLES = 16
_SAMPLE_BYTES = 2**18


def fingerprint(
    request: ResolvedRequest,
    *,
    weights: str,
    device: torch.device,
    dtype: torch.dtype,
    scheduler: Any,
    image_sha256: str | None = None,
    speed: Mapping[str, Any] | None = None,
) -> Fingerprint:
    """Take the fingerprint of a render.

    Args:
        request: with its seed only if it named one.
        weights: the commit of the hub repository, or `digest_of_weights` of the folder; adapters included.
        device: where it is rendered.
        dtype: of the transformer.
        scheduler: the pipeline's.
        image_sha256: of the input image.
        speed: options that took effect and can change bits, such as the attention kernel.
    """
    values = request.model_dump(mode="json", by_alias=True, exclude=set(_NOT_IN_THE_LATENTS))
    return {
        "request": _digest(values),
        "weights": weights,
        "dtype": str(dtype).removeprefix("torch."),
        "device": device_name(device),
        "scheduler": f"{type(scheduler).__name__} {_digest(dict(scheduler.config))}",
        **{package: version(package) for package in _PACKAGES},
        **({"image": image_sha256} if image_sha256 else {}),
        **_speed(speed or {}),
    }


def with_speed(ours: Fingerprint, speed: Mapping[str, Any]) -> Fingerprint:
    """Return a fingerprint with other speed options, as after a render has run out of memory."""
    return {name: value for name, value in ours.items() if not name.startswith(_SPEED)} | _speed(speed)


def is_of_speed(theirs: Fingerprint, speed: Mapping[str, Any]) -> bool:
    """Tell whether a render was computed with these speed options."""
    return {name: value for name, value in theirs.items() if name.startswith(_SPEED)} == _speed(speed)


def differences(ours: Fingerprint, theirs: Fingerprint) -> list[str]:
    """Name what two fingerprints differ in."""
    return sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))


def device_name(device: torch.device) -> str:
    """Say on what kind of device the kernels run: other kinds round otherwise."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return f"{name}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"  # type: ignore[no-untyped-call]
    return f"CPU {torch.backends.cpu.get_cpu_capability()}"


def digest_of_weights(*places: Path) -> str:
    """Return a digest of model folders and files that reads some 4 MiB a file and not all of its gigabytes.

    Names, sizes, configurations and evenly spread samples of each file: any training step changes all of them.
    """
    digest = hashlib.sha256()
    for place in places:
        for file in _files(place):
            size = file.stat().st_size
            digest.update(f"{file.relative_to(place)} {size}\n".encode())
            with file.open("rb") as opened:
                for sample in range(_SAMPLES):
                    opened.seek(sample * size // _SAMPLES)
                    digest.update(opened.read(min(_SAMPLE_BYTES, size // _SAMPLES + 1)))
    return f"sha256-sampled:{digest.hexdigest()[:32]}"


def _speed(options: Mapping[str, Any]) -> dict[str, str]:
    return {f"{_SPEED}{name}": str(value) for name, value in options.items()}


def _files(place: Path) -> list[Path]:
    return sorted((*place.rglob("*.safetensors"), *place.rglob("*.json"))) if place.is_dir() else [place]


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
