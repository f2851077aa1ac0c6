"""The controller at moments that a real API server reaches only by chance."""

from datetime import timedelta

import pytest
from tests.operator import worlds as w
from tests.operator.mounted import MountedConfigMap
from tests.operator.scripted_api import ScriptedApi, eventually, operator_on
from tests.operator.worlds import NOW, Manifest, video_job

from videojob_operator.live_settings import LiveSettings
from videojob_operator.manifests import Key, Kind

KEY = Key("studio", "squirrel")
CREATED = NOW - timedelta(minutes=10, seconds=30)  # of every VideoJob in these worlds
MANY_FAILURES = 20


def status(api: ScriptedApi) -> Manifest:
    found: Manifest = api.objects["videojobs"]["squirrel"].get("status", {})
    return found


async def test_a_standby_that_takes_over_knows_the_profiles_of_today(
    mounted: MountedConfigMap, live: LiveSettings
) -> None:
    api = ScriptedApi()
    api.put(Kind.VIDEO_JOBS, video_job(profile="batch"))
    mounted.write('{"default": {"gpus": 1}, "batch": {"gpus": 1}}')  # while it stood by
    async with operator_on(api, live) as works:
        await works.controller.start()
        await eventually(lambda: "phase" in status(api), "a first status")
    assert status(api)["phase"] == "Pending"
    assert len(api.written("POST", "jobs")) == 1


async def test_a_limit_passes_on_time_while_the_cluster_refuses_the_job(live: LiveSettings) -> None:
    api = ScriptedApi(refuse=lambda method, plural: "exceeded quota" if (method, plural) == ("POST", "jobs") else None)
    api.put(Kind.VIDEO_JOBS, video_job(startDeadlineSeconds=60))
    async with operator_on(api, live, at=CREATED + timedelta(seconds=59)) as works:
        for _ in range(MANY_FAILURES):  # so the next try is minutes away
            works.context.queue._failures[KEY] += 1
        await works.controller.start()
        await eventually(lambda: status(api).get("reason") == "QuotaExceeded", "the refusal in the status")
        await eventually(lambda: status(api)["phase"] == "Failed", "the verdict")
    assert status(api)["reason"] == "StartDeadlineExceeded"


async def test_room_in_a_quota_is_for_the_oldest_however_often_it_was_refused(live: LiveSettings) -> None:
    full = [True]
    other = w.job(owner="other")
    other["metadata"] |= {"name": "other", "uid": "uid-of-other"}
    young = video_job()
    young["metadata"] |= {"name": "young", "uid": "uid-of-young", "creationTimestamp": "2025-09-14T12:05:00Z"}
    at_job = ("POST", "jobs")
    api = ScriptedApi(refuse=lambda *what: "exceeded quota" if full[0] and what == at_job else None)
    for kind, manifest in ((Kind.VIDEO_JOBS, video_job()), (Kind.VIDEO_JOBS, young), (Kind.JOBS, other)):
        api.put(kind, manifest)
    async with operator_on(api, live) as works:
        keys = (KEY, Key("studio", "young"))
        for key in keys:
            works.context.queue._failures[key] += MANY_FAILURES  # so the next try is minutes away
        await works.controller.start()
        await eventually(lambda: len(works.context.turns._waiting) == len(keys), "both refused")
        full[0] = False
        works.context.forget(Kind.JOBS, api.objects["jobs"].pop("other"))
        await eventually(lambda: bool(api.written("POST", "jobs")), "a Job")
    assert [made["metadata"]["name"] for made in api.written("POST", "jobs")] == ["squirrel"]


@pytest.mark.parametrize("kind", list(Kind))
async def test_what_is_deleted_while_a_list_is_read_does_not_come_back_with_it(kind: Kind, live: LiveSettings) -> None:
    manifest = {Kind.VIDEO_JOBS: video_job(), Kind.JOBS: w.job(), Kind.PODS: w.pod()}[kind]
    api = ScriptedApi()
    async with operator_on(api, live) as works:
        cache = works.context.cache

        def known() -> Manifest | None:
            observed = cache.observe(KEY)
            return {Kind.VIDEO_JOBS: observed.video_job, Kind.JOBS: observed.job}.get(kind) or next(
                iter(observed.pods), None
            )

        def delete(plural: str) -> None:
            if plural == kind:  # the watch tells of it before the list arrives
                works.context.forget(kind, api.objects[kind].pop(manifest["metadata"]["name"]))

        api.put(kind, manifest)
        await works.lists.take_in_everything()
        assert known()
        api.while_listing = delete
        await works.lists.take_in_everything()
        assert known() is None
        api.while_listing = lambda _: None
        api.put(kind, manifest)  # the cluster came back from a backup
        await works.lists.take_in_everything()
        assert known()


async def test_a_job_is_suspended_only_if_it_is_the_one_that_was_seen(live: LiveSettings) -> None:
    api = ScriptedApi()
    api.put(Kind.VIDEO_JOBS, video_job(suspend=True))
    api.put(Kind.JOBS, w.job())
    async with operator_on(api, live) as works:
        await works.controller.start()
        await eventually(lambda: bool(api.written("PATCH", "jobs")), "the suspension")
    noted = {"uid": w.JOB_UID, "annotations": {"videojob.dev/held": "true"}}
    assert api.written("PATCH", "jobs") == [{"metadata": noted, "spec": {"suspend": True}}]


async def test_before_a_job_is_made_again_its_pods_are_looked_at_afresh(live: LiveSettings) -> None:
    api = ScriptedApi()
    begun = {"phase": "Running", "jobName": "squirrel", "attempts": 1, "podName": w.POD}
    async with operator_on(api, live) as works:
        await works.controller.start()
        api.put(Kind.PODS, w.pod(phase="Running", state=w.RUNNING))  # no watch has told of it yet
        api.put(Kind.VIDEO_JOBS, video_job(status=begun))
        works.context.learn(Kind.VIDEO_JOBS, api.objects["videojobs"]["squirrel"])
        await eventually(lambda: status(api).get("reason") == "Retrying", "the wait for the pod")
        assert api.written("POST", "jobs") == []
        api.objects["pods"].clear()
        works.context.forget(Kind.PODS, w.pod())
        await eventually(lambda: bool(api.written("POST", "jobs")), "the next Job")


async def test_an_end_whose_write_was_carried_out_and_never_answered_is_counted_and_told_of_once(
    live: LiveSettings,
) -> None:
    api = ScriptedApi()
    api.put(Kind.VIDEO_JOBS, video_job(cancel=True))
    async with operator_on(api, live) as works:

        def lose_the_first_answer(method: str, plural: str) -> bool:
            lost = (method, plural) == ("PATCH", "videojobs") and len(api.written(method, plural)) == 1
            if lost:  # the watch tells of it all the same
                works.context.learn(Kind.VIDEO_JOBS, api.objects["videojobs"]["squirrel"])
            return lost

        api.lose_answer = lose_the_first_answer
        await works.controller.start()
        await eventually(lambda: bool(api.written("POST", "events")), "the Event")
        works.context.queue.add(KEY)
        await eventually(lambda: not len(works.context.queue), "another look")
        told = works.context.metrics.render().decode().splitlines()
    ended = [line for line in told if line.startswith("videojob_finished_total{") and 'outcome="cancelled"' in line]
    assert [line.rpartition(" ")[2] for line in ended] == ["1.0"]
    assert [event["reason"] for event in api.written("POST", "events")] == ["Cancelled"]
    assert len(api.written("PATCH", "videojobs")) == 1
