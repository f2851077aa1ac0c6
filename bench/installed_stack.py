"""A stack of its own with the chart on it, for runs that strike it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from videojob import environment
from videojob_local import chart
from videojob_local.binaries import Binaries
from videojob_local.ports import free_port
from videojob_local.stack import NAMESPACE, Stack
from videojob_local.tiny_models import ensure_tiny_models


@contextmanager
def installed_stack(
    folder: Path,
    binaries: Binaries,
    namespace: str = NAMESPACE,
    prepare: Callable[[Stack], chart.Values] = lambda _: {},
) -> Iterator[tuple[Stack, str]]:
    """Start a stack of its own, whose renderers save their state every second; gives it and the URL of its API.

    Args:
        folder: of its state.
        binaries: of the control plane.
        namespace: of the chart and its jobs.
        prepare: makes what must be there before the chart, and returns further values for it.
    """
    stack = Stack(folder, binaries, gpus=2)
    try:
        stack.start()
        stack.wait_for_node(stack.node.name)
        values = chart.local_values(
            stack.s3.storage,
            api_port=(port := free_port()),
            tiny_models=ensure_tiny_models(),
            default_model=chart.tiny_name("2b"),
        )
        values["profiles"]["default"]["env"] = [{"name": environment.CHECKPOINT_SECONDS, "value": "1"}]
        chart.install(binaries, stack.kubeconfig, namespace, values | prepare(stack))
        yield stack, f"http://127.0.0.1:{port}"
    finally:
        stack.stop()
