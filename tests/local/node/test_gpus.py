import asyncio

import pytest

from videojob_local.node import gpus
from videojob_local.node.gpus import GpuPool, Gpus, find_gpus, gpus_of

H100 = "NVIDIA H100 80GB HBM3"


@pytest.fixture
def two_real_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "_machine_gpus", lambda: {"0": H100, "1": H100})


@pytest.fixture
def no_real_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "_machine_gpus", dict)


def test_the_machines_own_gpus_are_offered(two_real_gpus: None) -> None:
    assert find_gpus(None, {}) == Gpus(("0", "1"), "NVIDIA-H100-80GB-HBM3", pretended=False)
    assert find_gpus(1, {}).ids == ("0",)


def test_more_than_the_machine_has_are_pretended(two_real_gpus: None) -> None:
    assert find_gpus(8, {}) == Gpus(tuple("01234567"), "NVIDIA-H100-80GB-HBM3", pretended=True)


def test_one_gpu_is_pretended_where_there_is_none(no_real_gpu: None) -> None:
    assert find_gpus(None, {}) == Gpus(("0",), "NVIDIA-H100-80GB-HBM3", pretended=True)
    assert find_gpus(0, {}).ids == ()


def test_only_the_gpus_given_to_the_agent_are_offered(two_real_gpus: None) -> None:
    assert find_gpus(None, {"CUDA_VISIBLE_DEVICES": "1"}) == Gpus(("1",), "NVIDIA-H100-80GB-HBM3", pretended=False)
    assert find_gpus(None, {"CUDA_VISIBLE_DEVICES": ""}).pretended


def test_a_pod_sees_the_gpus_it_was_given_and_no_other(two_real_gpus: None) -> None:
    real = find_gpus(None, {})
    assert real.environment(("1",))["CUDA_VISIBLE_DEVICES"] == "1"
    assert real.environment(())["CUDA_VISIBLE_DEVICES"] == ""


def test_a_pod_with_a_pretended_gpu_sees_no_cuda_device(two_real_gpus: None) -> None:
    pretended = find_gpus(3, {})
    assert pretended.environment(("1",))["CUDA_VISIBLE_DEVICES"] == ""
    assert pretended.environment(("1",))["NVIDIA_VISIBLE_DEVICES"] == "1"


def test_a_pod_needs_what_its_hungriest_container_needs() -> None:
    def container(count: str) -> dict[str, object]:
        return {"resources": {"limits": {"nvidia.com/gpu": count}}}

    assert gpus_of({"containers": [{}]}) == 0
    assert gpus_of({"containers": [container("1")], "initContainers": [container("2"), {}]}) == 2


async def test_no_gpu_is_handed_out_twice_and_who_comes_late_waits() -> None:
    pool = GpuPool(Gpus(("0", "1", "2"), "H100", pretended=True))
    first = await pool.take(2)
    late = asyncio.create_task(pool.take(2))
    await asyncio.sleep(0)

    assert first == ("0", "1")
    assert not late.done()

    await pool.give_back(first)
    assert await late == ("0", "1")


async def test_who_gives_up_waiting_takes_nothing() -> None:
    pool = GpuPool(Gpus(("0",), "H100", pretended=True))
    taken = await pool.take(1)
    waiting = asyncio.create_task(pool.take(1))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await pool.give_back(taken)

    assert await pool.take(1) == ("0",)
