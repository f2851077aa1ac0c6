"""What one request asks for: one VideoJob, or several that differ in their seeds only. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from videojob.spec import VideoJobSpec
from videojob_api.idempotency import seed_of

MAX_COUNT = 8


def name_in_batch(first_name: str, number: int) -> str:
    """Return the name of a job of several; they are counted from 0, their names from 1."""
    return f"{first_name}-{number + 1}" if number else first_name


@dataclass(frozen=True, slots=True)
class Order:
    """What to create.

    Attributes:
        spec: of the VideoJobs, with the seed of the first where the client named one.
        count: of VideoJobs, 1 to MAX_COUNT.
        annotations: of the VideoJobs.
    """

    spec: VideoJobSpec
    count: int = 1
    annotations: Mapping[str, str] = field(default_factory=dict)

    def spec_of(self, first_name: str, number: int) -> VideoJobSpec:
        """Return the spec of a job: seeds are s, s+1, …; a single job without one leaves it to the renderer."""
        request = self.spec.request
        if self.count == 1:
            return self.spec
        first_seed = seed_of(first_name) if request.seed is None else request.seed
        seeded = request.model_copy(update={"seed": first_seed + number})
        return self.spec.model_copy(update={"request": seeded})
