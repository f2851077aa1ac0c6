"""What a run of chaos does: which videos are ordered, and what is killed when. Pure; all of it comes from one seed.

What really happens differs a little from run to run, because a machine is never twice equally fast. The seed gives
back the orders and the order of the blows, which is what it takes to look for a fault again.
"""

from dataclasses import dataclass
from random import Random

VICTIMS = ("operator", "api", "renderer", "node", "s3", "kube-apiserver", "etcd", "controllers")
"""`controllers` are Kubernetes' own: controller manager and scheduler."""

_WEIGHTS = (4, 3, 6, 1, 3, 2, 2, 1)
"""How often each is chosen. The death of the node is that of every pod on it, so it comes seldom."""

_STEPS = (2, 40, 120)
"""From one blow to several: the longest render lives long enough to be killed in its middle."""

_CANCELLED, _DELETED = 0.05, 0.05
_LONGEST_OUTAGE_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Request:
    """A render; two orders of the same one must end in the same bytes."""

    prompt: str
    seed: int
    steps: int

    def body(self) -> dict[str, object]:
        """Return the body of POST /generate."""
        size = {"num_frames": 9, "width": 64, "height": 64}
        return {"prompt": self.prompt, "seed": self.seed, "steps": self.steps, **size}


@dataclass(frozen=True, slots=True)
class Order:
    """One video that is asked for.

    Attributes:
        request: what to render.
        fate: `keep`, or `cancel` or `delete` some seconds after it was asked for.
        fate_seconds: how long after.
    """

    request: Request
    fate: str
    fate_seconds: float


@dataclass(frozen=True, slots=True)
class Blow:
    """One kill.

    Attributes:
        pause_seconds: since the blow before.
        victim: one of VICTIMS.
        outage_seconds: until what does not come back by itself is started again.
        choice: which of several, from 0 to 1.
    """

    pause_seconds: float
    victim: str
    outage_seconds: float
    choice: float


def orders(random: Random, count: int) -> list[Order]:
    """Return the orders: few different requests, so that each is rendered often."""
    prompts = ("a squirrel on a skateboard", "a panda with a guitar")
    requests = [Request(prompt, 7 * steps, steps) for prompt in prompts for steps in _STEPS]
    fates = [1 - _CANCELLED - _DELETED, _CANCELLED, _DELETED]
    chosen = random.choices(("keep", "cancel", "delete"), fates, k=count)
    return [Order(random.choice(requests), fate, random.uniform(0, 30)) for fate in chosen]


def blows(random: Random, count: int, longest_pause_seconds: float) -> list[Blow]:
    """Return the blows: each victim once in random order, then whom chance takes."""
    victims = [*VICTIMS]
    random.shuffle(victims)
    victims += random.choices(VICTIMS, _WEIGHTS, k=max(0, count - len(victims)))
    return [
        Blow(
            random.uniform(longest_pause_seconds / 4, longest_pause_seconds),
            victim,
            random.uniform(0.2, _LONGEST_OUTAGE_SECONDS),
            random.random(),
        )
        for victim in victims[:count]
    ]
