"""The diffusers pipeline of a request: where its weights are, on which device and in which precision they load.

On a GPU everything stays resident, without offloading or tiling: the targets have 80 GB. Without one, all is float32
on every core we may use; that is for the tiny model.
"""

# The functions of diffusers and transformers carry no types.
# mypy: disable-error-code="no-untyped-call"

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler, CogVideoXImageToVideoPipeline, CogVideoXPipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from videojob.families import Family
from videojob.resolve import ResolvedRequest
from videojob_renderer import telemetry
from videojob_renderer.adapters import fuse_adapters, locate_adapters
from videojob_renderer.cores import available_cores
from videojob_renderer.driver import why_cuda_fails
from videojob_renderer.errors import GpuFault, InvalidRequest, WeightsUnavailable
from videojob_renderer.models.locate import locate
from videojob_renderer.stock import StockPipeline
from videojob_renderer.weights import first_fault, first_missing_tensor, has_vocabulary

_SCHEDULERS = {"ddim": CogVideoXDDIMScheduler, "dpm": CogVideoXDPMScheduler}


NeedsTextEncoder = Callable[[Path, torch.device, torch.dtype], bool]


@dataclass(frozen=True, slots=True)
class LoadedPipeline:
    """A pipeline that is ready to render.

    Attributes:
        weights: the model's folder, and the files of its adapters.
        revision: the commit of the hub repository, or the version in the bucket; None for a folder.
    """

    pipeline: StockPipeline
    device: torch.device
    dtype: torch.dtype
    weights: tuple[Path, ...]
    revision: str | None


def load(
    request: ResolvedRequest, needs_text_encoder: NeedsTextEncoder = lambda *_: True, gpus: int = 0
) -> LoadedPipeline:
    """Load the pipeline of a request.

    Args:
        request: what to render.
        needs_text_encoder: told folder, device and dtype; without it, the pipeline has neither encoder nor tokenizer.
        gpus: that the pod was given.

    Raises:
        WeightsUnavailable: the model is not there, is damaged, or the hub cannot be reached.
        InvalidRequest: the model knows one size only, and the request has another.
        GpuFault: there is a GPU, or should be, but CUDA cannot use it.
    """
    _quieten()
    device = choose_device(gpus)
    dtype: torch.dtype = torch.float32 if device.type == "cpu" else getattr(torch, request.dtype)
    model = locate(request.source, request.revision)
    folder = model.folder
    if not folder.is_dir():
        raise WeightsUnavailable(f"the model folder {folder} does not exist on this node")
    files = locate_adapters(request.adapters or {})  # before gigabytes are loaded
    left_out = () if needs_text_encoder(folder, device, dtype) else ("text_encoder", "tokenizer")
    pipeline = _from_pretrained(folder, request.family, dtype, device, left_out)
    _hold_whole(pipeline, folder, request)
    _hold_size(pipeline, request)
    _choose_scheduler(pipeline, request.scheduler)
    if request.adapters:
        fuse_adapters(pipeline, request.adapters, files)
    return LoadedPipeline(pipeline, device, dtype, (folder, *files.values()), revision=model.revision)


def choose_device(gpus: int = 0) -> torch.device:
    """Return the GPU if there is one, else the CPU, with as many threads as cores are ours.

    Args:
        gpus: that the pod was given.

    Raises:
        GpuFault: there is a GPU that CUDA cannot use, or the pod was given one. On the CPU the render would take days.
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    if not telemetry.gpus_are_hidden():
        _hold_without_gpu(gpus)
    torch.set_num_threads(available_cores())
    return torch.device("cpu")


def _hold_without_gpu(gpus: int) -> None:
    given = telemetry.gpu_that_was_given() or (f"{gpus} by its profile" if gpus else None)
    try:
        is_present = telemetry.gpu_is_present(is_given=given is not None)
    except telemetry.GpuUnreadable as error:
        raise GpuFault(
            f"the node's GPU cannot be read: NVML fails with {error}; nvidia-smi there tells more"
        ) from error
    if is_present:
        raise GpuFault(why_cuda_fails(telemetry.driver(), torch.version.cuda, _words_of_cuda()))
    if given:
        raise GpuFault(
            f"the pod was given a GPU ({given}), but its container has none: make NVIDIA's container runtime the default "
            "of the node, or name it in the profile (runtimeClassName)"
        )


def _words_of_cuda() -> str:
    """Have CUDA say why it does not begin."""
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return str(error)
    return ""


def _from_pretrained(
    folder: Path, family: Family, dtype: torch.dtype, device: torch.device, left_out: tuple[str, ...]
) -> StockPipeline:
    kind = CogVideoXImageToVideoPipeline if family.takes_image else CogVideoXPipeline
    try:
        # device_map: each file goes to the GPU as it is read, so host memory never holds the whole model.
        device_map = None if device.type == "cpu" else device.type
        pipeline: StockPipeline = kind.from_pretrained(
            folder, dtype=dtype, device_map=device_map, local_files_only=True, **dict.fromkeys(left_out)
        )
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        # The libraries raise a dozen classes here, few of which name a file; we look for ourselves.
        if fault := first_fault(folder):
            raise WeightsUnavailable(fault) from error
        if isinstance(error, (OSError, ValueError, KeyError)):
            raise WeightsUnavailable(f"the model in {folder} cannot be loaded: {error}") from error
        raise
    return pipeline


def _hold_whole(pipeline: StockPipeline, folder: Path, request: ResolvedRequest) -> None:
    """Hold what the libraries let pass, at most with a warning, and which then renders noise or fails late."""
    family = _family_of(pipeline.transformer.config)
    if family is not request.family:
        raise WeightsUnavailable(
            f"the model in {folder} is of family {family}, but {request.model} is said to be of {request.family}"
        )
    if not has_vocabulary(folder / "tokenizer"):
        raise WeightsUnavailable(f"the model lacks a vocabulary in {folder / 'tokenizer'}")
    for name, module in (("transformer", pipeline.transformer), ("vae", pipeline.vae)):
        if missing := first_missing_tensor(folder / name, module.state_dict()):
            raise WeightsUnavailable(f"the weights in {folder / name} lack the tensor {missing}")


def _hold_size(pipeline: StockPipeline, request: ResolvedRequest) -> None:
    """Hold the size of a model with learned positions (5b-I2V), which would fail at its first step."""
    config = pipeline.transformer.config
    if not config.use_learned_positional_embeddings:
        return
    scale = pipeline.vae_scale_factor_spatial
    width, height = config.sample_width * scale, config.sample_height * scale
    if (request.width, request.height) != (width, height):
        field, legal = ("width", width) if request.width != width else ("height", height)
        raise InvalidRequest(f"{field}: must be {legal} for {request.model}, which renders {width}x{height} only")


def _choose_scheduler(pipeline: StockPipeline, name: str | None) -> None:
    """Put the catalogue's scheduler in place of the one that the model ships."""
    if name is not None:
        kind = _SCHEDULERS[name]
        pipeline.scheduler = kind.from_config(pipeline.scheduler.config, timestep_spacing="trailing")


def _family_of(config: Any) -> Family:
    """Say which family a transformer's configuration is of."""
    takes_image = config.in_channels > config.out_channels
    if config.patch_size_t is not None:
        return Family.COGVIDEOX_1_5_I2V if takes_image else Family.COGVIDEOX_1_5
    if config.use_rotary_positional_embeddings:
        return Family.COGVIDEOX_5B_I2V if takes_image else Family.COGVIDEOX_5B
    return Family.COGVIDEOX_2B


def _quieten() -> None:
    """Keep the libraries from progress bars, from warnings that quote prompts, and from log handlers of their own."""
    for library in (diffusers_logging, transformers_logging):
        library.disable_progress_bar()
        library.set_verbosity_error()
        library.disable_default_handler()
        library.enable_propagation()
