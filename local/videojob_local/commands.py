"""What `videojob-local up`, `down`, `demo`, `status`, `logs` and `env` do and print."""

import fcntl
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from videojob_local.binaries import built_binaries, ensure_binaries
from videojob_local.chart import require_model
from videojob_local.errors import LocalError, PartFailed, StackDown
from videojob_local.interruptions import interruptions
from videojob_local.node.gpus import find_gpus
from videojob_local.paths import DEMO, OUTPUT, stack_folder
from videojob_local.ports import claim
from videojob_local.stack import NAMESPACE, Stack

DEFAULT_PORT = 8000
LOG_LINES = 100


def open_stack() -> Stack:
    """Return the stack of this checkout, up or not."""
    return Stack(stack_folder(), built_binaries())


def require_up(stack: Stack) -> None:
    """Raise StackDown unless the stack is up."""
    if not stack.is_up():
        raise StackDown("the local stack is not up; start it with `make up`")


@contextmanager
def exclusively() -> Iterator[None]:
    """Keep two commands from starting or stopping the same stack at once."""
    path = stack_folder().with_name(stack_folder().name + ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError("another command is starting or stopping the local stack; wait for it to end") from None
        yield


def bring_up(stack: Stack, port: int, model: str | None) -> None:
    """Start the stack; what was started is stopped again where that fails or is interrupted.

    A stack of which a part has died is removed first: its state may be half written.
    """
    if stack.exists():
        say("A former stack has ended or is incomplete; starting afresh.")
        take_down(stack)
    claim(port, "the REST API")
    began = time.monotonic()
    try:
        say("Starting control plane, S3 server and process node …")
        stack.start()
        say("Installing the chart …")
        stack.install(api_port=port, model=model)
    except BaseException as reason:
        if isinstance(reason, LocalError):
            report_unready(stack)
        say("Stopping what was started …")
        take_down(stack)
        raise
    say(f"The stack is up after {time.monotonic() - began:.0f} s: {stack.api_url}")


def use(stack: Stack, model: str | None) -> None:
    """Make another model the default of a stack that is up."""
    say(f"The stack is up: {stack.api_url}")
    if model and model != stack.installed["model"]:
        say(f"Making {model} its default model …")
        stack.install(api_port=stack.installed["api_port"], model=model)


def take_down(stack: Stack) -> None:
    """Stop the stack and remove its state; not even Ctrl-C stops half-way."""
    with interruptions.unheard():
        stack.stop()


def report_unready(stack: Stack) -> None:
    """Print the end of the logs of operator and API where their pods are not ready."""
    if not stack.kubeconfig.exists() or not stack.control_plane.is_ready():
        return
    pods = _kubectl(stack, "get", "pods", "--no-headers", check=False)
    if pods:
        print(pods, file=sys.stderr)
        for part in ("operator", "api"):
            print(_kubectl(stack, "logs", f"deployment/videojob-{part}", "--tail=5", check=False), file=sys.stderr)


def up(port: int, model: str | None) -> None:
    """Start the stack and keep it running."""
    require_model(ensure_binaries(), model)
    warn_without_gpu(model)
    stack = open_stack()
    with exclusively():
        if stack.is_up():
            use(stack, model)
        else:
            bring_up(stack, port, model)
    say(
        f"\n  REST API      {stack.api_url}   (Swagger: {stack.api_url}/docs)"
        f'\n  kubectl       eval "$(make -s env)" && kubectl get videojobs -w'
        f"\n  KUBECONFIG    {stack.user_kubeconfig}"
        "\n  more          make status, make logs, make down"
    )


def down() -> None:
    """Stop the stack and remove its state."""
    stack = open_stack()
    with exclusively():
        if not stack.exists():
            say("The stack is not up.")
            return
        take_down(stack)
    say("The stack is down; its state is removed.")


def demo(port: int, model: str | None) -> None:
    """Run the main job end to end: examples/demo.py against the REST API of a stack that is up, or of one for it alone.

    Raises:
        PartFailed: the demo script failed.
    """
    require_model(ensure_binaries(), model)
    warn_without_gpu(model)
    stack = open_stack()
    with exclusively():
        if stack.is_up():
            use(stack, model)
            _demonstrate(stack)
            say("\nThe stack is still up: `make status`, `make logs`, `make down`.")
            return
        try:
            bring_up(stack, port, model)
            _demonstrate(stack)
        finally:
            if stack.exists():
                say("\nStopping the stack …")
                take_down(stack)
    say("To keep it running: `make up`. Then: `make status`, `make logs`, `make down`.")


def _demonstrate(stack: Stack) -> None:
    video = _run_demo(stack)
    say("\n$ kubectl get videojobs")
    say(_kubectl(stack, "get", "videojobs"))
    say(f"The video: {video}")
    if stack.installed["model"] is None or stack.installed["model"].endswith("-tiny"):
        say(
            "\nThe demo's model is tiny and has random weights, so the picture is coloured noise. To render for real, on a"
            "\nmachine with an NVIDIA GPU: make demo MODEL=CogVideoX-2b   (downloads about 13 GB of weights once)"
        )


def _run_demo(stack: Stack) -> Path:
    OUTPUT.mkdir(exist_ok=True)
    video = OUTPUT / "demo.mp4"
    video.unlink(missing_ok=True)
    say(f"\n$ BASE_URL={stack.api_url} python examples/demo.py {video}")
    environment = dict(os.environ, BASE_URL=stack.api_url)
    result = subprocess.run([sys.executable, DEMO, video], env=environment, check=False)
    if result.returncode or not video.exists():
        for question in (["describe", "videojobs"], ["logs", "--selector=batch.kubernetes.io/job-name", "--tail=15"]):
            print(_kubectl(stack, *question, check=False)[-3000:], file=sys.stderr)
        raise PartFailed("the demo failed; what it said and what the cluster says of its job stands above")
    return video


def status() -> None:
    """Say what runs, and its health."""
    stack = open_stack()
    parts = stack.processes.all()
    if not parts:
        raise StackDown("the local stack is not up; start it with `make up`")
    healths = {"kube-apiserver": stack.control_plane.is_ready, "s3": stack.s3.is_ready}
    for part in parts:
        health = "ended" if not part.is_alive() else "ready" if healths.get(part.name, part.is_alive)() else "not ready"
        say(f"{part.name:<26}{health:<11}pid {part.pid:<8}log {stack.processes.log_file(part.name)}")
    if stack.control_plane.is_ready():
        say("\n" + _kubectl(stack, "get", "nodes,pods", check=False))
    if stack.is_up():
        say(f"{'REST API':<26}{_api_health(stack):<11}{stack.api_url}")


def _api_health(stack: Stack) -> str:
    try:
        return "ready" if requests.get(f"{stack.api_url}/readyz", timeout=5).ok else "not ready"
    except requests.RequestException:
        return "not ready"


def logs(part: str | None) -> None:
    """Print the end of the log of one part, or of all.

    Raises:
        LocalError: there is no such part.
    """
    stack = open_stack()
    processes = [each.name for each in stack.processes.all()]
    known = [*processes, "operator", "api"] if processes else []
    if not known:
        raise StackDown("the local stack is not up; start it with `make up`")
    if part and part not in known:
        raise LocalError(f"there is no part {part!r}; there are {', '.join(known)}")
    for name in [part] if part else known:
        if not part:
            say(f"--- {name}")
        if name in processes:
            say(stack.processes.tail(name, LOG_LINES if part else 10))
        else:
            lines = LOG_LINES if part else 10
            say(_kubectl(stack, "logs", f"deployment/videojob-{name}", f"--tail={lines}", check=False))


def env() -> None:
    """Print shell settings for the stack."""
    stack = open_stack()
    require_up(stack)
    settings = {
        "KUBECONFIG": str(stack.user_kubeconfig),
        "VIDEOJOB_URL": stack.api_url,
        "VIDEOJOB_BUCKET": stack.s3.storage.bucket,
        **stack.s3.storage.environment(),
    }
    for name, value in settings.items():
        say(f"export {name}={shlex.quote(value)}")
    say(f'export PATH={shlex.quote(str(stack.binaries.folder))}:"$PATH"')


def warn_without_gpu(model: str | None) -> None:
    """Say plainly what a real model means on a machine without a GPU."""
    if model and "tiny" not in model and find_gpus(None).pretended:
        say(f"No NVIDIA GPU was found: rendering {model} on the CPU takes hours and some 40 GB of memory.")


def say(text: str) -> None:
    """Print for the person at the terminal, at once."""
    print(text, flush=True)


def _kubectl(stack: Stack, *arguments: str, check: bool = True) -> str:
    command = [
        str(stack.binaries["kubectl"]),
        f"--kubeconfig={stack.kubeconfig}",
        f"--namespace={NAMESPACE}",
        *arguments,
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and result.returncode:
        raise PartFailed(f"kubectl {arguments[0]} failed: {result.stderr.strip()}")
    return result.stdout
