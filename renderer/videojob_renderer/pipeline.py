"""The diffusers pipeline of a request: where its weights are, on which device and in which precision they load.

On a GPU everything stays resident, without offloading or tiling: the targets have 80 GB. Without one, all is float32
on every core we may use; that is for the tiny model.
"""

# The functions of diffusers and transformers carry no types.
# mypy: disable-error-code="no-untyped-call"

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import torch
from diffusers import CogVideoXPipeline
from diffusers.utils import logging as diffusers_logging
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from transformers.utils import logging as transformers_logging

from videojob.resolve import ResolvedRequest
from videojob_renderer import telemetry
from videojob_renderer.cores import available_cores
from videojob_renderer.errors import GpuFault, WeightsUnavailable
from videojob_renderer.stock import StockPipeline
from videojob_renderer.weights import first_fault


@dataclass(frozen=True, slots=True)
class LoadedPipeline:
    """A pipeline that is ready to render.

    Attributes:
        revision: the commit of the hub repository; None for a folder.
    """

    pipeline: StockPipeline
    device: torch.device
    dtype: torch.dtype
    revision: str | None


def load(request: ResolvedRequest) -> LoadedPipeline:
    """Load the pipeline of a request.

    Raises:
        WeightsUnavailable: the model is not there, is damaged, or the hub cannot be reached.
        GpuFault: there is a GPU, but CUDA cannot use it.
    """
    _quieten()
    device = choose_device()
    dtype: torch.dtype = torch.float32 if device.type == "cpu" else getattr(torch, request.dtype)
    is_folder = Path(request.source).is_absolute()
    folder = Path(request.source) if is_folder else _download(request.source, request.revision)
    if not folder.is_dir():
        raise WeightsUnavailable(f"the model folder {folder} does not exist on this node")
    pipeline = _from_pretrained(folder, dtype, device)
    return LoadedPipeline(pipeline, device, dtype, revision=None if is_folder else folder.name)


def choose_device() -> torch.device:
    """Return the GPU if there is one, else the CPU, with as many threads as cores are ours.

    Raises:
        GpuFault: there is a GPU that CUDA cannot use. On the CPU the render would take days.
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    if telemetry.gpu_is_present():
        raise GpuFault("the node has a GPU, but CUDA cannot use it: is the NVIDIA driver too old for this image?")
    torch.set_num_threads(available_cores())
    return torch.device("cpu")


def _from_pretrained(folder: Path, dtype: torch.dtype, device: torch.device) -> StockPipeline:
    try:
        # device_map: each file goes to the GPU as it is read, so host memory never holds the whole model.
        device_map = None if device.type == "cpu" else device.type
        pipeline: StockPipeline = CogVideoXPipeline.from_pretrained(
            folder, dtype=dtype, device_map=device_map, local_files_only=True
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


def _download(repository: str, revision: str | None) -> Path:
    """Return the folder of a hub repository's snapshot, fetching what the cache lacks."""
    with _hub_errors(repository, revision):
        return Path(CogVideoXPipeline.download(repository, revision=revision))


@contextmanager
def _hub_errors(repository: str, revision: str | None) -> Iterator[None]:
    named = f"{repository} at revision {revision}" if revision else repository
    try:
        yield
    except HFValidationError as error:
        raise WeightsUnavailable(f"{repository} is neither an absolute path nor a hub repository") from error
    except GatedRepoError as error:
        raise WeightsUnavailable(f"{named} is gated: accept its licence on the hub and set HF_TOKEN") from error
    except RepositoryNotFoundError as error:
        raise WeightsUnavailable(f"the hub has no repository {repository}, or HF_TOKEN may not read it") from error
    except RevisionNotFoundError as error:
        raise WeightsUnavailable(f"the hub's repository {repository} has no revision {revision}") from error
    except (OfflineModeIsEnabled, LocalEntryNotFoundError) as error:
        raise WeightsUnavailable(f"{named} is not in the cache (HF_HOME), and the hub cannot be reached") from error
    except (HfHubHTTPError, httpx.HTTPError, OSError) as error:
        raise WeightsUnavailable(f"{named} cannot be downloaded from the hub: {type(error).__name__}") from error


def _quieten() -> None:
    """Keep the libraries from drawing progress bars, and from quoting prompts in warnings."""
    diffusers_logging.disable_progress_bar()
    diffusers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
