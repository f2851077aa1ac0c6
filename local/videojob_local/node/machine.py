"""What the Node object says about this machine: capacity, labels, system."""

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from videojob_local.node.config import NodeConfig
from videojob_local.node.gpus import RESOURCE, Gpus
from videojob_local.node.manifest import Manifest

PRETENDED_LABEL = "videojob.dev/pretended-gpu"
PRODUCT_LABEL = "nvidia.com/gpu.product"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Machine:
    """The facts of the Node object.

    Attributes:
        capacity: what the scheduler may give away.
        labels: label → value; None = must not be there.
        info: status.nodeInfo.
    """

    capacity: dict[str, str]
    labels: dict[str, str | None]
    info: Manifest


def describe_machine(config: NodeConfig, gpus: Gpus) -> Machine:
    """Return the facts about this machine."""
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    system = platform.system().lower()
    return Machine(_capacity(config, gpus), _labels(config, gpus, architecture, system), _info(architecture, system))


def _capacity(config: NodeConfig, gpus: Gpus) -> dict[str, str]:
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": str(config.cpus or os.cpu_count() or 1),
        "memory": f"{memory_bytes // 1024}Ki",
        "ephemeral-storage": f"{shutil.disk_usage(config.state).total // 1024}Ki",
        "pods": "110",
        RESOURCE: str(len(gpus.ids)),
    }


def _labels(config: NodeConfig, gpus: Gpus, architecture: str, system: str) -> dict[str, str | None]:
    return {
        "kubernetes.io/hostname": config.name,
        "kubernetes.io/arch": architecture,
        "kubernetes.io/os": system,
        PRODUCT_LABEL: gpus.product if gpus.ids else None,
        PRETENDED_LABEL: "true" if gpus.ids and gpus.pretended else None,
        **config.labels,
    }


def _info(architecture: str, system: str) -> Manifest:
    return {
        "architecture": architecture,
        "operatingSystem": system,
        "kernelVersion": platform.release(),
        "osImage": "videojob process node",
        "containerRuntimeVersion": "process://1",
        "kubeletVersion": "v1.36.3-process",
        "kubeProxyVersion": "",
        "machineID": "",
        "systemUUID": "",
        "bootID": _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else "",
    }
