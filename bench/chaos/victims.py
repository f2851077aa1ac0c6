"""Kill parts of the stack with SIGKILL, and bring back what Kubernetes does not bring back by itself.

Operator, API and renderers are pods: the node, their Deployment or their Job start them again. The node, the S3 server
and the control plane are processes of the stack, and are started again with the arguments they had.
"""

import contextlib
import os
import signal
import time
from collections import Counter

import psutil
from bench.chaos.plan import Blow

from videojob import environment
from videojob_local.processes import Part
from videojob_local.stack import Stack
from videojob_local.waiting import wait_until

_MOST_KILLS = 2
"""Of the renderers of one job: fewer than the failures that a job may have by default, so that it must succeed."""

_BACK_SECONDS = 240


class Victims:
    """The parts of one stack.

    Attributes:
        disturbed: pods whose renderer was killed, alone or with its node.
        counts: how often each victim was hit.
        log: one line a blow.
    """

    def __init__(self, stack: Stack, namespace: str) -> None:
        self._stack = stack
        self._namespace = namespace
        self._kills: Counter[str] = Counter()
        self._began = time.monotonic()
        self.disturbed: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.log: list[str] = []

    def strike(self, blow: Blow) -> None:
        """Kill, wait, bring back."""
        match blow.victim:
            case "operator" | "api":
                told = self._kill_pod(blow.victim)
            case "renderer":
                told = self._kill_renderer(blow.choice)
            case "controllers":
                told = self._kill_parts(["kube-controller-manager", "kube-scheduler"], blow)
            case part:
                told = self._kill_parts([part], blow)
        if told:
            self.counts[blow.victim] += 1
            self.log.append(f"{time.monotonic() - self._began:7.1f} s  {told}")

    def renderers(self) -> list[psutil.Process]:
        """Return the renderers that run in the namespace."""
        return [process for process, _ in pods_of(self._stack, self._namespace, "videojob_renderer")]

    def _kill_pod(self, part: str) -> str:
        found = pods_of(self._stack, self._namespace, f"videojob_{part}")
        for process, _ in found:
            _kill(process.pid)
        return f"{part} killed" if found else ""

    def _kill_renderer(self, choice: float) -> str:
        found = [
            (process, variables)
            for process, variables in pods_of(self._stack, self._namespace, "videojob_renderer")
            if self._kills[variables[environment.NAME]] < _MOST_KILLS
        ]
        if not found:
            return ""
        process, variables = found[int(choice * len(found))]
        self._kills[variables[environment.NAME]] += 1
        self.disturbed.add(variables[environment.POD_NAME])
        _kill(process.pid)
        return f"renderer of {variables[environment.POD_NAME]} killed"

    def _kill_parts(self, names: list[str], blow: Blow) -> str:
        parts = [part for part in self._stack.processes.all() if part.name in names]
        arguments = {part.name: psutil.Process(part.pid).cmdline() for part in parts}
        for part in parts:
            _kill(part.pid)
        is_node = "node" in names  # its pods live on, unseen, until the next agent ends them
        if is_node:
            self._note_renderers()
        time.sleep(blow.outage_seconds)
        if is_node:
            self._note_renderers()  # one that was just being started was no renderer yet
        for part in parts:
            self._bring_back(part, arguments[part.name])
        return f"{' and '.join(names)} killed, back after {blow.outage_seconds:.1f} s"

    def _note_renderers(self) -> None:
        found = pods_of(self._stack, self._namespace, "videojob_renderer")
        self.disturbed |= {variables[environment.POD_NAME] for _, variables in found}

    def _bring_back(self, part: Part, arguments: list[str]) -> None:
        stack = self._stack
        stack.processes.stop(part.name, 0)  # takes the dead one off the record
        match part.name:
            case "s3":
                stack.s3.resume()
            case "node":
                stack.node.start()
            case "kube-apiserver":
                stack.control_plane.start_api_server()
            case _:
                stack.processes.start(part.name, arguments)
        wait_until(stack.control_plane.is_ready, "the return of the API server", seconds=_BACK_SECONDS)


def pods_of(stack: Stack, namespace: str, module: str) -> list[tuple[psutil.Process, dict[str, str]]]:
    """Return the processes of a namespace that run a module, with their variables, in the order of their pods."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # ended meanwhile, or somebody else's
            variables = process.environ()
            theirs = variables.get(environment.NAMESPACE) or variables.get("VIDEOJOB_NAMESPACES")
            if not variables.get("VIDEOJOB_NODE_POD", "").startswith(str(stack.folder)):
                continue  # of another stack on this machine
            if theirs == namespace and module in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append((process, variables))
    return sorted(found, key=lambda pair: pair[1].get("HOSTNAME", ""))


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
