"""Pods and Jobs on the real control plane: start, end, restart, deletion."""

from pathlib import Path

import pytest
from tests.local.node.rig import Studio, condition, pid, process_ended, state, status, wait_until

pytestmark = pytest.mark.cluster


def test_a_job_runs_to_completion_and_leaves_its_message_and_its_log(studio: Studio) -> None:
    job = studio.job("hello", studio.pod_spec("echo hello from $HOSTNAME; printf done > /dev/termination-log"))

    studio.kube.wait(job, lambda found: found["status"].get("succeeded") == 1)

    pod = studio.kube.get(f"{studio.pods}?labelSelector=job-name=hello")["items"][0]
    name = pod["metadata"]["name"]
    assert pod["status"]["phase"] == "Succeeded"
    terminated = state(pod)["terminated"]
    assert (terminated["exitCode"], terminated["reason"], terminated["message"]) == (0, "Completed", "done")
    assert studio.output(f"{studio.pods}/{name}") == f"hello from {name}\n"


@pytest.mark.parametrize(
    ("script", "code", "message"),
    [
        ("exit 75", 75, ""),
        ("echo lost > /dev/termination-log; exit 70", 70, "lost\n"),
        ("kill -KILL $$$$", 137, ""),  # $$$$ becomes the shell's $$
    ],
)
def test_exit_code_and_termination_message_arrive(studio: Studio, script: str, code: int, message: str) -> None:
    pod = studio.ended(studio.pod("ends", studio.pod_spec(script)))
    assert pod["status"]["phase"] == "Failed"
    terminated = state(pod)["terminated"]
    assert (terminated["exitCode"], terminated.get("message", "")) == (code, message)


def test_the_log_is_the_message_of_a_container_that_leaves_none(studio: Studio) -> None:
    spec = studio.pod_spec("echo out of luck; exit 1", terminationMessagePolicy="FallbackToLogsOnError")
    assert state(studio.ended(studio.pod("ends", spec)))["terminated"]["message"] == "out of luck\n"


def test_a_command_that_does_not_exist_is_a_start_error(studio: Studio) -> None:
    pod = studio.ended(studio.pod("ends", studio.pod_spec("", command=["/no/such/program"])))
    terminated = state(pod)["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (128, "StartError")
    assert "/no/such/program" in terminated["message"]


def test_init_containers_run_first_and_in_turn(studio: Studio) -> None:
    spec = studio.pod_spec("cat /work/order")
    mounts = [{"name": "work", "mountPath": "/work"}]
    inits = [{**spec["containers"][0], "name": n, "args": ["-c", f"echo {n} >> /work/order"]} for n in ("one", "two")]
    spec |= {"initContainers": inits, "volumes": [{"name": "work", "emptyDir": {}}]}
    for container in [*inits, *spec["containers"]]:
        container["volumeMounts"] = mounts

    pod = studio.pod("in-turn", spec)

    assert studio.ended(pod)["status"]["phase"] == "Succeeded"
    assert studio.output(pod) == "one\ntwo\n"


def test_a_failed_init_container_fails_the_pod(studio: Studio) -> None:
    spec = studio.pod_spec("echo never")
    spec["initContainers"] = [{**spec["containers"][0], "name": "first", "args": ["-c", "exit 3"]}]
    pod = studio.ended(studio.pod("fails", spec))
    assert pod["status"]["phase"] == "Failed"
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 3
    assert condition(pod, "Initialized") == "False"


def test_a_crashing_container_is_restarted_with_back_off_and_keeps_its_files(studio: Studio) -> None:
    script = "echo start >> /work/starts; test $(wc -l < /work/starts) = 3 || exit 9"
    spec = studio.pod_spec(script, volumeMounts=[{"name": "work", "mountPath": "/work"}])
    spec |= {"restartPolicy": "OnFailure", "volumes": [{"name": "work", "emptyDir": {}}]}
    pod = studio.pod("stumbles", spec)

    waiting = studio.waits_for(pod, "CrashLoopBackOff")
    ended = studio.ended(pod)

    assert status(waiting)["lastState"]["terminated"]["exitCode"] == 9
    assert ended["status"]["phase"] == "Succeeded"
    assert status(ended)["restartCount"] == 2


def test_a_deleted_pod_gets_sigterm_and_its_grace_period(studio: Studio, tmp_path: Path) -> None:
    script = f"trap 'echo saved > {tmp_path}/checkpoint; exit 75' TERM; echo up; while :; do sleep 0.05; done"
    pod = studio.pod("renders", studio.pod_spec(script))
    studio.said(pod, "up")

    studio.kube.delete(pod)
    studio.kube.wait_gone(pod)

    assert (tmp_path / "checkpoint").read_text() == "saved\n"


def test_a_pod_that_ignores_sigterm_is_killed(studio: Studio) -> None:
    spec = studio.pod_spec("trap '' TERM; echo up; while :; do sleep 0.05; done")
    pod = studio.pod("stubborn", {**spec, "terminationGracePeriodSeconds": 1})
    studio.said(pod, "up")
    studio.kube.delete(pod)
    studio.kube.wait_gone(pod)


def test_a_pod_that_still_waits_for_its_image_can_be_deleted(studio: Studio) -> None:
    pod = studio.pod("waits", studio.pod_spec("", image="unknown:1"))
    studio.waits_for(pod, "ErrImagePull")
    studio.kube.delete(pod)
    studio.kube.wait_gone(pod)


def test_the_deadline_of_a_pod_ends_it_as_failed(studio: Studio) -> None:
    pod = studio.ended(studio.pod("late", {**studio.pod_spec("sleep 3600"), "activeDeadlineSeconds": 1}))
    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert condition(pod, "DisruptionTarget") == "Unknown"


def test_an_unknown_image_waits_with_a_sentence_and_an_event(studio: Studio) -> None:
    pod = studio.pod("waits", studio.pod_spec("", image="unknown:1"))
    waiting = state(studio.waits_for(pod, "ErrImagePull"))["waiting"]
    assert "no command stands for image unknown:1" in waiting["message"]
    studio.kube.wait(
        f"/api/v1/namespaces/{studio.namespace}/events",
        lambda events: any(e["reason"] == "Failed" and "unknown:1" in e["message"] for e in events["items"]),
    )


def test_a_missing_secret_waits_and_heals(studio: Studio) -> None:
    pod = studio.pod("waits", studio.pod_spec("echo $KEY", envFrom=[{"secretRef": {"name": "late"}}]))
    assert '"late" not found' in state(studio.waits_for(pod, "CreateContainerConfigError"))["waiting"]["message"]

    studio.make("secrets", "late", stringData={"KEY": "open sesame"})

    assert studio.ended(pod)["status"]["phase"] == "Succeeded"
    assert studio.output(pod) == "open sesame\n"
    assert "open sesame" not in studio.node.log


def test_a_missing_volume_waits_and_heals(studio: Studio) -> None:
    spec = studio.pod_spec("cat /config/a", volumeMounts=[{"name": "config", "mountPath": "/config"}])
    pod = studio.pod("waits", {**spec, "volumes": [{"name": "config", "configMap": {"name": "late"}}]})
    studio.kube.wait(
        f"/api/v1/namespaces/{studio.namespace}/events",
        lambda events: any(
            e["reason"] == "FailedMount" and '"late" not found' in e["message"] for e in events["items"]
        ),
    )

    studio.make("configmaps", "late", data={"a": "content"})

    assert studio.ended(pod)["status"]["phase"] == "Succeeded"
    assert studio.output(pod) == "content"


def test_a_pod_that_the_node_can_never_run_says_so(studio: Studio) -> None:
    spec = studio.pod_spec("true")
    spec["containers"].append({**spec["containers"][0], "name": "second"})
    pod = studio.pod("double", spec)
    assert "one container a Pod" in state(studio.waits_for(pod, "UnsupportedPod"))["waiting"]["message"]
    studio.kube.delete(pod)
    studio.kube.wait_gone(pod)


def test_no_two_pods_ever_share_a_gpu(studio: Studio, tmp_path: Path) -> None:
    """Six Pods over two GPUs: each marks its GPU, and fails if it is marked already."""
    mark = f"{tmp_path}/gpu-$NVIDIA_VISIBLE_DEVICES"
    script = f"mkdir {mark} && sleep 0.3 && rmdir {mark}"
    spec = studio.pod_spec(script, resources={"limits": {"nvidia.com/gpu": "1"}})
    job = studio.job("crowd", spec, completions=6, parallelism=6, backoffLimit=0)

    done = studio.kube.wait(job, lambda found: found["status"].get("succeeded") == 6 or found["status"].get("failed"))

    assert done["status"].get("failed") is None


def test_a_pod_without_gpu_sees_none(studio: Studio) -> None:
    pod = studio.pod("blind", studio.pod_spec('echo "[$CUDA_VISIBLE_DEVICES] $NVIDIA_VISIBLE_DEVICES"'))
    studio.ended(pod)
    assert studio.output(pod) == "[] void\n"


def test_a_force_deleted_pod_leaves_no_process(studio: Studio) -> None:
    pod = studio.pod("forced", studio.pod_spec("trap '' TERM; while :; do sleep 0.05; done"))
    process = pid(studio.running(pod))

    studio.kube.delete(pod, gracePeriodSeconds=0)

    wait_until(lambda: process_ended(process), "the process of the deleted Pod still runs")
