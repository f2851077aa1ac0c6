"""Which device renders where CUDA has none: the CPU only where nobody gave the pod a GPU, or somebody said so.

This machine's NVML, if it has one, is made to fail as a node's would: its answers cannot be had otherwise.
"""

import pynvml  # type: ignore[import-untyped]
import pytest
import torch

from videojob_renderer.errors import GpuFault
from videojob_renderer.pipeline import choose_device

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


def let_nvml_fail(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail() -> None:
        raise pynvml.NVMLError(code)

    monkeypatch.setattr(pynvml, "nvmlInit", fail)


@pytest.mark.parametrize(
    ("code", "gpus", "words"),
    [
        (pynvml.NVML_ERROR_UNKNOWN, 0, "the node's GPU cannot be read: NVML fails with Unknown Error"),
        (pynvml.NVML_ERROR_GPU_IS_LOST, 1, "NVML fails with GPU is lost"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, 1, "NVML fails with RM has detected an NVML/RM version mismatch"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, 1, "NVML fails with Driver Not Loaded"),
        (
            pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
            1,
            "the pod was given a GPU (1 by its profile), but its container has none",
        ),
    ],
)
def test_a_gpu_that_cannot_be_used_is_told_and_the_cpu_does_not_render_in_its_place(
    monkeypatch: pytest.MonkeyPatch, code: int, gpus: int, words: str
) -> None:
    let_nvml_fail(monkeypatch, code)
    with pytest.raises(GpuFault) as raised:
        choose_device(gpus)
    assert words in raised.value.message


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_DRIVER_NOT_LOADED, pynvml.NVML_ERROR_LIBRARY_NOT_FOUND])
def test_where_no_gpu_was_given_and_there_is_none_the_cpu_renders(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    let_nvml_fail(monkeypatch, code)
    assert choose_device().type == "cpu"


def test_who_hides_all_gpus_means_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    let_nvml_fail(monkeypatch, pynvml.NVML_ERROR_UNKNOWN)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert choose_device(1).type == "cpu"
