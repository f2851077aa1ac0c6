"""The work queue loses nothing and does nothing twice at once; the cache always holds the newest."""

import asyncio
from typing import Any

from tests.operator import worlds as w

from videojob_operator.cache import Cache
from videojob_operator.manifests import Key
from videojob_operator.work_queue import WorkQueue

KEY = Key("studio", "squirrel")


def new_queue() -> WorkQueue:
    return WorkQueue(jitter=lambda: 0.5)


async def test_a_key_waits_only_once() -> None:
    queue = new_queue()
    queue.add(KEY)
    queue.add(KEY)
    assert await queue.get() == KEY
    queue.done(KEY, failed=False)
    assert len(queue) == 0


async def test_a_key_is_with_one_worker_at_a_time_and_news_are_not_lost() -> None:
    queue = new_queue()
    queue.add(KEY)
    await queue.get()
    queue.add(KEY)  # news while it is looked at
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done(KEY, failed=False)
    assert await waiting == KEY


async def test_a_failed_key_comes_back() -> None:
    queue = new_queue()
    queue.add(KEY)
    await queue.get()
    queue.done(KEY, failed=True)
    assert await asyncio.wait_for(queue.get(), timeout=10) == KEY


async def test_the_pauses_double_up_to_a_limit() -> None:
    queue = new_queue()
    pauses = [queue._backoff_seconds(KEY) for _ in range(1100)]
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert max(pauses) == pauses[-1] == 150.0


def versioned(manifest: dict[str, Any], version: int) -> dict[str, Any]:
    meta = manifest["metadata"] | {"resourceVersion": str(version), "managedFields": ["much"]}
    return manifest | {"metadata": meta}


def test_an_old_answer_does_not_undo_a_newer_event() -> None:
    cache = Cache()
    cache.absorb_video_job(versioned(w.video_job(status={"phase": "Running"}), 20))
    cache.absorb_video_job(versioned(w.video_job(), 19))
    observed = cache.observe(KEY)
    assert observed.status == {"phase": "Running"}
    assert "managedFields" not in (observed.video_job or {})["metadata"]


def test_pods_are_found_by_their_label() -> None:
    cache = Cache()
    assert cache.absorb_pod(versioned(w.pod(), 5)) == KEY
    assert [pod["metadata"]["name"] for pod in cache.observe(KEY).pods] == [w.POD]
    assert cache.forget_pod(w.pod()) == KEY
    assert cache.observe(KEY).pods == ()


def test_a_full_list_drops_what_a_broken_watch_missed_and_keeps_what_is_newer() -> None:
    cache = Cache()
    cache.absorb_video_job(versioned(w.video_job(), 10))
    cache.absorb_job(versioned(w.job(), 30))
    cache.absorb_pod(versioned(w.pod(), 10))
    assert cache.drop_ghosts("videojobs", "elsewhere", [], 20) == set()
    assert cache.drop_ghosts("videojobs", "studio", [], 20) == {KEY}
    assert cache.drop_ghosts("jobs", "studio", [], 20) == set()
    assert cache.drop_ghosts("pods", "studio", [], 20) == {KEY}
    assert cache.observe(KEY).video_job is None
    assert cache.observe(KEY).job is not None
    assert cache.observe(KEY).pods == ()
