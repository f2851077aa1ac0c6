"""The memory of VideoJobs: whatever the order in which it hears of things, it ends up right."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojob_api import cache as cache_module
from videojob_api.cache import Cache


def a_job(name: str, version: int, *, uid: str = "", phase: str = "", **more: Any) -> dict[str, Any]:
    meta = {
        "name": name,
        "uid": uid or f"uid-of-{name}",
        "resourceVersion": str(version),
        "creationTimestamp": "2025-09-14T12:10:30Z",
        "managedFields": [{"manager": "somebody"}],
    }
    spec = {"request": {"prompt": "a squirrel", "model": "CogVideoX-2b"}, **more.pop("spec", {})}
    return {"metadata": meta | more.pop("metadata", {}), "spec": spec, "status": {"phase": phase, **more}}


def test_a_job_comes_back_whole_but_for_the_managed_fields() -> None:
    cache = Cache()
    job = a_job("a", 1, phase="Running", progress={"percent": 4, "stage": "Denoising"})
    cache.absorb(job)
    del job["metadata"]["managedFields"]
    record = cache.get("a")
    assert record
    assert record.manifest() == job


def test_an_older_version_changes_nothing() -> None:
    cache = Cache()
    cache.absorb(a_job("a", 9, phase="Running"))
    cache.absorb(a_job("a", 10, phase="Succeeded"))
    cache.absorb(a_job("a", 9, phase="Running"))
    assert (cache.count("Succeeded"), cache.count("Running"), cache.active()) == (1, 0, 0)


def test_an_answer_that_was_under_way_does_not_bring_back_a_deleted_job() -> None:
    cache = Cache()
    cache.absorb(a_job("a", 1))
    cache.forget("a", "uid-of-a")
    cache.absorb(a_job("a", 1))
    assert cache.get("a") is None
    assert len(cache) == cache.active() == 0


def test_the_place_of_a_deleted_job_is_known_until_too_many_others_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "GRAVES_KEPT", 2)
    cache = Cache()
    for number, name in enumerate("abcd"):
        cache.absorb(a_job(name, number + 1))
    places = {name: cache.place_of(name) for name in "abcd"}
    for name in "abc":
        cache.forget(name, f"uid-of-{name}")
    assert [cache.place_of(name) for name in "abcd"] == [None, *(places[name] for name in "bcd")]
    assert [record.name for record in cache.after(cache.place_of("b"))] == ["d"]


def test_the_end_of_an_old_job_leaves_its_namesake() -> None:
    cache = Cache()
    cache.absorb(a_job("a", 5, uid="new"))
    cache.forget("a", "old")
    assert cache.get("a")


def test_a_full_list_drops_what_it_does_not_hold_unless_it_is_newer() -> None:
    cache = Cache()
    cache.absorb(a_job("gone", 3))
    cache.absorb(a_job("here", 4))
    cache.absorb(a_job("just-made", 12))
    cache.drop_all_but({"uid-of-here"}, 10)
    assert [record.name for record in cache.after(None)] == ["here", "just-made"]


def test_a_line_holds_those_that_wait_by_age_and_profile() -> None:
    cache = Cache()
    for second, (name, more) in enumerate(
        {
            "works": {"phase": "Running"},
            "first": {},
            "suspended": {"spec": {"suspend": True}},
            "elsewhere": {"spec": {"profile": "batch"}},
            "second": {"phase": "Pending"},
            "cancelled": {"spec": {"cancel": True}},
            "third": {"phase": "Queued"},
        }.items()
    ):
        cache.absorb(a_job(name, second + 1, metadata={"creationTimestamp": f"2025-09-14T12:10:0{second}Z"}, **more))
    places = {record.name: cache.ahead_of(record) for record in cache.after(None)}
    assert places == {
        "works": None,
        "first": 0,
        "suspended": None,
        "elsewhere": 0,
        "second": 1,
        "cancelled": None,
        "third": 2,
    }
    assert (cache.running("default"), cache.running("batch")) == (1, 0)
    cache.forget("first", "uid-of-first")
    third = cache.get("third")
    assert third
    assert cache.ahead_of(third) == 1


def test_who_listens_hears_of_the_job_and_of_its_line_but_of_nothing_else() -> None:
    cache = Cache()
    for name in ("first", "second", "other"):
        cache.absorb(a_job(name, 1, metadata={"creationTimestamp": f"2025-09-14T12:10:3{len(name) % 9}Z"}))
    cache.ring_for_moved_lines()
    with cache.listening("second") as bell:
        assert not bell.is_set()
        cache.absorb(a_job("second", 2))
        assert bell.is_set()
        bell.clear()
        cache.absorb(a_job("first", 3, phase="Running"))
        assert not bell.is_set()
        cache.ring_for_moved_lines()
        assert bell.is_set()
        bell.clear()
        cache.absorb(a_job("first", 4, phase="Running", progress={"percent": 7, "stage": "Denoising"}))
        cache.ring_for_moved_lines()
        assert not bell.is_set()


@given(st.permutations([1, 2, 3, 4, 5, "deleted"]), st.lists(st.integers(1, 5), max_size=5))
def test_in_any_order_and_with_repetitions_the_last_word_stands(order: list[Any], repeated: list[int]) -> None:
    cache = Cache()
    for step in [*order, *repeated]:
        if step == "deleted":
            cache.forget("a", "uid-of-a")
        else:
            cache.absorb(a_job("a", step, phase="Running" if step % 2 else "Pending"))
    cache.absorb(a_job("b", 7, phase="Pending"))
    assert [record.name for record in cache.after(None)] == ["b"]
    assert (len(cache), cache.active(), cache.count("Running"), cache.running("default")) == (1, 1, 0, 0)
    record = cache.get("b")
    assert record
    assert cache.ahead_of(record) == 0
