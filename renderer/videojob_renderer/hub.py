"""The renderer's one door to the Hugging Face hub: a repository becomes a folder, a failure one sentence.

Staging reads files by range, because the hub client's own download begins each file anew in every process: a pod
that was stopped at the ninth of ten gigabytes would start at the first.

diffusers takes any failure of the hub for a reason to look into its cache, and tells only that the model is not there;
the true reason is the cause of that error. Which HTTP library the hub's client uses, and so which errors it raises
when there is no network, changes from version to version.
"""

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import (  # type: ignore[attr-defined] # it loads its names when they are asked for
    build_hf_headers,
    hf_raise_for_status,
    http_stream_backoff,
)

from videojob_renderer.errors import WeightsUnavailable
from videojob_renderer.models.source import Digest, Listing, RemoteFile, SourceAway, wanted

_READ_TIMEOUT_SECONDS = 30.0
_LIBRARY = "videojob"
_WORTH_ANOTHER_TRY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})

_REFUSALS: tuple[tuple[type[Exception], str], ...] = (
    (HFValidationError, "{repository} is neither an absolute path, nor an s3:// prefix, nor a hub repository"),
    (GatedRepoError, "{repository} is gated: accept its licence on the hub and set HF_TOKEN"),
    (RepositoryNotFoundError, "the hub has no repository {repository}, or HF_TOKEN may not read it"),
    (RevisionNotFoundError, "the hub's repository {repository} has no revision {revision}"),
)
"""The first class that fits counts: a gated repository is also one that was not found."""


class HubSource:
    """A model repository.

    Args:
        name: `owner/name`.
        revision: a branch, tag or commit; None = the main branch.
    """

    def __init__(self, name: str, revision: str | None) -> None:
        self.name = name
        self.revision = revision

    def list(self) -> Listing:
        """Say what the revision holds at this moment."""
        try:
            info = HfApi(library_name=_LIBRARY).model_info(self.name, revision=self.revision, files_metadata=True)
        except Exception as error:
            raise self._told(error) from error
        files = (_remote_file(sibling) for sibling in info.siblings or [])
        return Listing(str(info.sha), wanted(files, self.name))

    def read(self, listing: Listing, file: RemoteFile, offset: int) -> Iterator[bytes]:
        """Yield the bytes of a file from an offset on."""
        url = hf_hub_url(self.name, file.path, revision=listing.version)
        headers = build_hf_headers(library_name=_LIBRARY) | {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        try:
            with http_stream_backoff(
                "GET", url, headers=headers, timeout=_READ_TIMEOUT_SECONDS, retry_on_exceptions=()
            ) as response:
                hf_raise_for_status(response)
                skip = offset if response.status_code == HTTPStatus.OK else 0  # it may overlook the range
                for chunk in response.iter_bytes():  # as they come: what came is kept
                    yield chunk[skip:]
                    skip = max(0, skip - len(chunk))
        except Exception as error:
            raise self._told(error) from error

    def _told(self, error: Exception) -> WeightsUnavailable | SourceAway:
        sentence = _sentence(error, self.name, self.revision)
        if isinstance(error, HFValidationError):
            return WeightsUnavailable(sentence)
        if isinstance(error, HfHubHTTPError):
            status = error.response.status_code
            if status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _WORTH_ANOTHER_TRY:
                return WeightsUnavailable(sentence)
            return SourceAway(f"the hub answered {status}")
        return SourceAway(f"the hub cannot be reached ({type(error).__name__})")


def _remote_file(sibling: RepoSibling) -> RemoteFile:
    if sibling.lfs is not None:
        return RemoteFile(sibling.rfilename, sibling.lfs.size, Digest("sha256", sibling.lfs.sha256))
    digest = Digest("git-sha1", sibling.blob_id) if sibling.blob_id else None
    return RemoteFile(sibling.rfilename, sibling.size or 0, digest)


def download(repository: str, revision: str | None) -> Path:
    """Return the folder of a repository's snapshot, fetching what the cache (HF_HOME) lacks.

    Raises:
        WeightsUnavailable: the hub has no such thing, refuses it or cannot be reached.
        OSError: the files cannot be stored.
    """
    from diffusers import CogVideoXPipeline  # noqa: PLC0415 - imports torch, which staging does without

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
