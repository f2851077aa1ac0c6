"""The GPUs of this node: the machine's own, found by NVML, or pretended ones; and who has them.

The scheduler only counts `nvidia.com/gpu`; which GPU a Pod gets is the node's business, and no two Pods ever share one.
A pretended GPU is a number: its Pods see no CUDA device at all, also on a machine that has real ones.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass

import pynvml  # type: ignore[import-untyped]

from videojob_local.node.manifest import Manifest
from videojob_local.node.quantity import parse_quantity

RESOURCE = "nvidia.com/gpu"
PRETENDED_PRODUCT = "NVIDIA-H100-80GB-HBM3"


@dataclass(frozen=True, slots=True)
class Gpus:
    """The GPUs a node offers.

    Attributes:
        ids: CUDA's names for them: indices, or UUIDs where CUDA_VISIBLE_DEVICES of the agent named UUIDs.
        product: value of the label nvidia.com/gpu.product, as GPU feature discovery writes it.
        pretended: there is no hardware behind them.
    """

    ids: tuple[str, ...]
    product: str
    pretended: bool

    def environment(self, taken: tuple[str, ...]) -> dict[str, str]:
        """Variables of a Pod that has been given `taken`."""
        return {
            "CUDA_VISIBLE_DEVICES": "" if self.pretended else ",".join(taken),
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # NVML's order, from which the indices come
            "NVIDIA_VISIBLE_DEVICES": ",".join(taken) or "void",
        }


def find_gpus(wanted: int | None, environment: Mapping[str, str] = os.environ) -> Gpus:
    """Return the machine's GPUs, or pretended ones where it has fewer than wanted.

    Args:
        wanted: how many the node offers; None = all of the machine, or one pretended GPU.
        environment: of the agent: its CUDA_VISIBLE_DEVICES says which of the machine's GPUs it may use.
    """
    real = _machine_gpus()
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    ids = list(real) if visible is None else [name for name in visible.split(",") if name]
    if real and ids and (wanted is None or 0 < wanted <= len(ids)):
        return Gpus(tuple(ids[:wanted]), next(iter(real.values())).replace(" ", "-"), pretended=False)
    count = 1 if wanted is None else wanted
    return Gpus(tuple(str(index) for index in range(count)), PRETENDED_PRODUCT, pretended=True)


def _machine_gpus() -> dict[str, str]:
    """Product names by index; empty without NVIDIA's driver."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {}
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return {str(index): str(pynvml.nvmlDeviceGetName(handle)) for index, handle in enumerate(handles)}
    finally:
        pynvml.nvmlShutdown()


def gpus_of(spec: Manifest) -> int:
    """How many GPUs a Pod needs: init containers run one after another, before the main one."""
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    limits = [container.get("resources", {}).get("limits", {}) for container in containers]
    return max(int(parse_quantity(limit.get(RESOURCE, "0"))) for limit in limits)


class GpuPool:
    """Hands out GPUs; who asks for more than are free waits until a process that is still ending gives its own back."""

    def __init__(self, gpus: Gpus) -> None:
        self._order = gpus.ids
        self._free = set(gpus.ids)
        self._changed = asyncio.Condition()

    async def take(self, count: int) -> tuple[str, ...]:
        """Take `count` GPUs, the first free ones."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._free) >= count)
            taken = tuple(gpu for gpu in self._order if gpu in self._free)[:count]
            self._free.difference_update(taken)
            return taken

    async def give_back(self, gpus: tuple[str, ...]) -> None:
        """Free GPUs that were taken."""
        async with self._changed:
            self._free.update(gpus)
            self._changed.notify_all()
