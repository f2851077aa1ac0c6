"""Why CUDA cannot use a GPU that is there: a pure comparison of what the driver can do with what torch was built for.

A driver runs programs of its own CUDA major version and of every older one; NVIDIA's compatibility page names the
first driver of each.
"""

import re
from dataclasses import dataclass

_FIRST_DRIVER = {12: "525.60", 13: "580.65"}
"""CUDA's major version -> the oldest Linux driver that runs it."""


_NOT_YET_INITIALIZED = "802"
_NUMBERED = re.compile(r"Error (\d+): .*")


@dataclass(frozen=True, slots=True)
class Driver:
    """The NVIDIA driver of the node.

    Attributes:
        version: such as `535.104.05`.
        cuda: the newest CUDA it runs, (major, minor).
    """

    version: str
    cuda: tuple[int, int]


def why_cuda_fails(driver: Driver | None, built_for: str | None, words: str = "") -> str:
    """Say in one sentence why CUDA does not work, and what to do.

    Args:
        driver: what NVML told; None where it told nothing.
        built_for: torch.version.cuda, such as `13.0`; None for a torch without CUDA.
        words: with which CUDA refuses to begin.
    """
    if built_for is None:
        return "the node has a GPU, but this image's torch is built without CUDA: use the renderer's GPU image"
    if driver is None:
        return f"CUDA {built_for} cannot use the node's GPU, and the driver does not tell its version{_quoted(words)}"
    supported = f"{driver.cuda[0]}.{driver.cuda[1]}"
    major = int(built_for.split(".")[0])
    if driver.cuda[0] < major:
        first = f" to {_FIRST_DRIVER[major]} or newer" if major in _FIRST_DRIVER else ""
        return (
            f"the node's NVIDIA driver {driver.version} is too old: it runs CUDA up to {supported}, and this image needs "
            f"{built_for}; update the driver{first}"
        )
    return (
        f"CUDA {built_for} cannot use the node's GPU, although its driver {driver.version} is new enough (CUDA {supported})"
        f"{_quoted(words)}; {_where_to_look(words)}"
    )


def _quoted(words: str) -> str:
    """Return CUDA's own words; torch puts a question to programmers in front of a numbered one."""
    numbered = _NUMBERED.search(words)
    said = numbered[0] if numbered else next(iter(words.splitlines()), "")
    return f": {said}" if said else ""


def _where_to_look(words: str) -> str:
    numbered = _NUMBERED.search(words)
    if numbered and numbered[1] == _NOT_YET_INITIALIZED:
        return "where GPUs are joined by NVSwitch, nvidia-fabricmanager must run on the node, in the driver's version"
    return "look for Xid errors in the node's kernel log"
