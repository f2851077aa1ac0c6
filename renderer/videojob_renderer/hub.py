"""The renderer's one door to the Hugging Face hub: a repository becomes a folder, a failure one sentence.

diffusers itself takes any failure of the hub for a reason to look into its cache, and tells only that the model is not
there; the true reason is the cause of that error. Which HTTP library the hub's client uses, and so which errors it
raises when there is no network, changes from version to version.
"""

from pathlib import Path

from diffusers import CogVideoXPipeline
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from videojob_renderer.errors import WeightsUnavailable

_REFUSALS: tuple[tuple[type[Exception], str], ...] = (
    (HFValidationError, "{repository} is neither an absolute path nor a hub repository"),
    (GatedRepoError, "{repository} is gated: accept its licence on the hub and set HF_TOKEN"),
    (RepositoryNotFoundError, "the hub has no repository {repository}, or HF_TOKEN may not read it"),
    (RevisionNotFoundError, "the hub's repository {repository} has no revision {revision}"),
)
"""The first class that fits counts: a gated repository is also one that was not found."""


def download(repository: str, revision: str | None) -> Path:
    """Return the folder of a repository's snapshot, fetching what the cache (HF_HOME) lacks.

    Raises:
        WeightsUnavailable: the hub has no such thing, refuses it or cannot be reached.
        OSError: the files cannot be stored.
    """
    try:
        return Path(CogVideoXPipeline.download(repository, revision=revision))
    except Exception as error:
        told_by_diffusers = type(error) is OSError and error.errno is None
        cause = error.__cause__ if told_by_diffusers and error.__cause__ else error
        if isinstance(cause, OSError) and cause.filename is not None:
            raise
        raise WeightsUnavailable(_sentence(cause, repository, revision)) from error


def download_file(repository: str, name: str, revision: str | None) -> Path:
    """Return one file of a repository, fetching it if the cache (HF_HOME) lacks it.

    Raises:
        WeightsUnavailable: the hub has no such thing, refuses it or cannot be reached.
        OSError: the file cannot be stored.
    """
    try:
        return Path(hf_hub_download(repository, name, revision=revision))
    except EntryNotFoundError as error:
        raise WeightsUnavailable(f"the hub's repository {repository} has no file {name}") from error
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise WeightsUnavailable(_sentence(error, repository, revision)) from error


def _sentence(error: BaseException, repository: str, revision: str | None) -> str:
    for kind, sentence in _REFUSALS:
        if isinstance(error, kind):
            return sentence.format(repository=repository, revision=revision)
    named = f"{repository} at revision {revision}" if revision else repository
    if isinstance(error, HfHubHTTPError):
        return f"{named} cannot be downloaded: the hub answered {error.response.status_code}"
    return f"{named} is not in the cache (HF_HOME), and the hub cannot be reached ({type(error).__name__})"
