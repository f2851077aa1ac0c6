"""The work queue loses nothing and does nothing twice at once; the cache always holds the newest."""

import asyncio
import itertools

from tests.operator import worlds as w
from tests.operator.worlds import Manifest

from videojob_operator.backoff import EndlessBackoff
from videojob_operator.cache import Cache
from videojob_operator.manifests import Key, Kind
from videojob_operator.reconcile import reconcile
from videojob_operator.work_queue import WorkQueue

KEY = Key("studio", "squirrel")


def new_queue() -> WorkQueue:
    return WorkQueue(jitter=lambda: 0.5)


async def test_a_key_waits_only_once() -> None:
    queue = new_queue()
    queue.add(KEY)
    queue.add(KEY)
    assert await queue.get() == KEY
    queue.done(KEY)
    assert len(queue) == 0


async def test_a_key_is_with_one_worker_at_a_time_and_news_are_not_lost() -> None:
    queue = new_queue()
    queue.add(KEY)
    await queue.get()
    queue.add(KEY)  # news while it is looked at
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done(KEY)
    assert await waiting == KEY


async def test_a_failed_key_comes_back() -> None:
    queue = new_queue()
    queue.add(KEY)
    await queue.get()
    queue.failed(KEY, longest_pause_seconds=10)
    assert await asyncio.wait_for(queue.get(), timeout=10) == KEY


async def test_news_do_not_shorten_the_pause_of_a_key_that_fails_while_they_come_in() -> None:
    queue = new_queue()
    queue.add(KEY)
    await queue.get()
    queue.add(KEY)
    queue.failed(KEY, longest_pause_seconds=10)
    assert len(queue) == 0


async def test_the_pauses_double_up_to_a_limit_and_begin_anew_after_success() -> None:
    queue = new_queue()
    pauses = [queue._pause_seconds(KEY, 300) for _ in range(1100)]
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert max(pauses) == pauses[-1] == 150.0
    queue.done(KEY)
    assert queue._pause_seconds(KEY, 300) == 0.1


async def test_of_two_wishes_to_look_later_the_earlier_one_holds() -> None:
    queue = new_queue()
    for seconds in (3600, 0.01, 1800):
        queue.add_later(KEY, seconds)
    assert len(queue._timers) == 1
    assert await asyncio.wait_for(queue.get(), timeout=10) == KEY
    assert not queue._timers


def test_the_pauses_between_tries_to_reach_the_api_server_never_end_and_stay_short() -> None:
    pauses = list(itertools.islice(EndlessBackoff(), 1000))
    assert max(pauses) <= 12
    assert min(pauses[10:]) >= 8


def versioned(manifest: Manifest, version: int, **meta: str) -> Manifest:
    changed = manifest["metadata"] | {"resourceVersion": str(version), "managedFields": ["much"]} | meta
    return manifest | {"metadata": changed}


def test_an_old_answer_does_not_undo_a_newer_event() -> None:
    cache = Cache()
    cache.absorb(Kind.VIDEO_JOBS, versioned(w.video_job(status={"phase": "Running"}), 20))
    cache.absorb(Kind.VIDEO_JOBS, versioned(w.video_job(), 19))
    observed = cache.observe(KEY)
    assert observed.status == {"phase": "Running"}
    assert "managedFields" not in (observed.video_job or {})["metadata"]


def test_the_echo_of_an_own_write_is_no_news() -> None:
    cache = Cache()
    answer = versioned(w.video_job(status={"phase": "Pending"}), 20)
    assert cache.absorb(Kind.VIDEO_JOBS, answer) == KEY
    assert cache.absorb(Kind.VIDEO_JOBS, answer) is None
    assert cache.absorb(Kind.VIDEO_JOBS, versioned(answer, 21)) == KEY


def test_what_the_cache_keeps_of_objects_leads_to_the_decisions_that_the_whole_ones_do() -> None:
    job = versioned(w.job(), 11)
    for pod in (w.pod(node=None), w.pod(), w.pod(phase="Running", state=w.RUNNING), w.pod(state=w.ended(70))):
        cache, whole = Cache(), w.observed(None, job, pod)
        for kind, manifest in ((Kind.VIDEO_JOBS, w.video_job()), (Kind.JOBS, job), (Kind.PODS, pod)):
            cache.absorb(kind, manifest)
        kept = cache.observe(KEY)
        assert "volumes" in str(whole.job)
        assert "volumes" not in str(kept.job)
        assert reconcile(kept, w.SETTINGS, w.NOW) == reconcile(whole, w.SETTINGS, w.NOW)


def test_pods_are_found_by_their_label() -> None:
    cache = Cache()
    assert cache.absorb(Kind.PODS, versioned(w.pod(), 5)) == KEY
    assert [pod["metadata"]["name"] for pod in cache.observe(KEY).pods] == [w.POD]
    assert cache.forget(Kind.PODS, w.pod()) == KEY
    assert cache.observe(KEY).pods == ()


def test_a_pod_without_our_label_is_nobodys() -> None:
    cache = Cache()
    stray = versioned(w.pod(), 5, labels={})  # type: ignore[arg-type]
    assert cache.absorb(Kind.PODS, stray) is None
    assert cache.forget(Kind.PODS, stray) is None


def test_the_end_of_an_object_does_not_take_its_namesake_along() -> None:
    cache = Cache()
    old, new = versioned(w.video_job(), 10), versioned(w.video_job(), 20, uid="new")
    cache.absorb(Kind.VIDEO_JOBS, old)
    cache.absorb(Kind.VIDEO_JOBS, new)
    assert cache.forget(Kind.VIDEO_JOBS, versioned(old, 15)) == KEY
    assert cache.observe(KEY).uid == "new"
    cache.forget(Kind.VIDEO_JOBS, new)
    assert cache.observe(KEY).video_job is None
    assert not cache.video_job_keys()


def test_a_full_list_of_a_cluster_that_came_back_from_a_backup_takes_the_place_of_what_has_not_happened() -> None:
    cache = Cache()
    cache.absorb(Kind.VIDEO_JOBS, versioned(w.video_job(status={"phase": "Succeeded"}), 500))
    listed = versioned(w.video_job(status={"phase": "Running"}), 400)
    assert cache.absorb(Kind.VIDEO_JOBS, listed, listed_at=499) is None, "an own write, newer than the list"
    assert cache.absorb(Kind.VIDEO_JOBS, listed, listed_at=1_000_000_500) == KEY
    assert cache.phases() == ["Running"]
    assert cache.absorb(Kind.VIDEO_JOBS, listed, listed_at=1_000_000_501) is None, "the same again"


def test_a_full_list_drops_what_a_broken_watch_missed_and_keeps_what_is_newer() -> None:
    cache = Cache()
    cache.absorb(Kind.VIDEO_JOBS, versioned(w.video_job(), 10))
    cache.absorb(Kind.JOBS, versioned(w.job(), 30))
    cache.absorb(Kind.PODS, versioned(w.pod(), 10))
    assert cache.drop_ghosts(Kind.VIDEO_JOBS, "elsewhere", set(), 20) == set()
    assert cache.drop_ghosts(Kind.VIDEO_JOBS, "studio", set(), 20) == {KEY}
    assert cache.drop_ghosts(Kind.JOBS, "studio", set(), 20) == set()
    assert cache.drop_ghosts(Kind.PODS, "studio", set(), 20) == {KEY}
    assert cache.observe(KEY).video_job is None
    assert cache.observe(KEY).job is not None
    assert cache.observe(KEY).pods == ()


def test_a_full_list_keeps_what_it_holds() -> None:
    cache = Cache()
    listed = versioned(w.video_job(), 10)
    cache.absorb(Kind.VIDEO_JOBS, listed)
    assert cache.drop_ghosts(Kind.VIDEO_JOBS, "studio", {listed["metadata"]["uid"]}, 20) == set()
    assert cache.observe(KEY).video_job is not None


def test_what_a_user_holds_is_counted_while_it_waits_and_not_while_it_still_runs_or_is_over() -> None:
    cache = Cache()
    for phase, expected in (("Queued", 1), ("Running", 0), ("Pending", 1), ("Succeeded", 0)):
        cache.absorb(Kind.VIDEO_JOBS, versioned(w.video_job(suspend=True, status={"phase": phase}), 20))
        assert cache.held() == expected
        cache.forget(Kind.VIDEO_JOBS, w.video_job())
    cache.absorb(Kind.VIDEO_JOBS, w.video_job(status={"phase": "Queued"}))
    assert cache.held() == 0
